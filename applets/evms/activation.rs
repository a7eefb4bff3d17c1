//! Verbs on what is active in the kernel.

use evms::base::name::VolumePath;
use evms::run::activate::Wanted;
use evms::run::daemon::logging;
use evms::run::deactivate::Open;

use crate::evms::answer::Answer;
use crate::evms::containers::context;
use crate::evms::globals::Globals;
use crate::evms::verbs::Refused;
use crate::evms::words::Words;

/// `NAME…` or `--all`, one of them; `None` is all.
fn wanted(words: &Words) -> Result<Option<Vec<Wanted>>, Refused> {
    let names = words.names(0);
    match (names.is_empty(), words.has("--all")) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(names.iter().map(|name| one(words, name)).collect::<Result<_, _>>()?)),
        (true, false) => Err(words.neither("NAME", "--all").into()),
        (false, true) => Err(words.both("NAME", "--all").into()),
    }
}

fn one(words: &Words, name: &str) -> Result<Wanted, Refused> {
    if !name.contains('/') {
        return Ok(Wanted { container: name.into(), volumes: Vec::new() });
    }
    let path = VolumePath::parse(name).map_err(|why| words.bad("NAME", &why))?;
    Ok(Wanted { container: path.container.to_string(), volumes: vec![path.volume] })
}

/// `activate`.
pub fn activate(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let wanted = wanted(words)?;
    let mut context = context(words, globals)?;
    Ok(Answer::Activated(match wanted {
        Some(wanted) => context.activate(&wanted)?,
        None => context.activate_all()?,
    }))
}

/// `deactivate`.
pub fn deactivate(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let wanted = wanted(words)?;
    let open = if words.has("--fail") { Open::Fail } else { Open::Refuse };
    if open == Open::Fail {
        // Break-glass is logged (F57), also when it hangs or fails.
        let names = if words.has("--all") { "--all".into() } else { words.names(0).join(" ") };
        logging::note(&format!("an administrator lets I/O fail: evms deactivate --fail {names}"));
    }
    Ok(Answer::Deactivated(context(words, globals)?.deactivate(wanted.as_deref(), open)?))
}
