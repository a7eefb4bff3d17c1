//! Verbs on containers: words into requests.

use std::path::PathBuf;

use evms::base::limits::EXTENT_BYTES_DEFAULT;
use evms::base::name::Name;
use evms::base::size::Size;
use evms::base::units::Bytes;
use evms::run::container::{ContainerKind, CreateAsk, ModifyAsk};
use evms::run::context::Context;
use evms::run::owner::OwnerWord;
use evms::run::take::Taking;
use evms::run::takeover::TakeoverAsk;

use crate::evms::answer::Answer;
use crate::evms::globals::{Globals, node_uuid};
use crate::evms::verbs::Refused;
use crate::evms::words::{BadWords, Words};
use crate::out;

const NAME: &str = "NAME";
const DISK: &str = "DISK";

/// A context in which `--dry-run` of the verb counts.
pub fn context(words: &Words, globals: Globals) -> Result<Context, Refused> {
    let mut options = globals.options;
    options.dry_run = words.has("--dry-run");
    options.progress = Some(out::progress);
    options.tell = Some(out::tell);
    Ok(Context::new(options)?)
}

/// Reads a name that is given to something.
pub fn new_name(words: &Words, text: &str, what: &'static str) -> Result<Name, BadWords> {
    Name::parse(text).map_err(|why| words.bad(what, &why))
}

/// Never fails: what is no identity and no known word is a name.
fn owner(text: &str) -> OwnerWord {
    match text {
        "me" => OwnerWord::Me,
        "none" => OwnerWord::Unclaimed,
        text => node_uuid(text).map_or_else(|_| OwnerWord::Named(text.into()), OwnerWord::Node),
    }
}

fn kind(text: &str) -> Result<ContainerKind, String> {
    match text {
        "private" => Ok(ContainerKind::Private),
        "shared" => Ok(ContainerKind::Shared),
        "deported" => Ok(ContainerKind::Deported),
        text => Err(format!("'{}' is no type; write private, shared or deported", text.escape_debug())),
    }
}

fn taking(words: &Words) -> Result<Taking, BadWords> {
    Ok(Taking { wipe: words.list("--wipe"), slot: words.parsed("--slot", Size::parse_plain)? })
}

fn paths(words: &Words) -> Result<Vec<PathBuf>, BadWords> {
    Ok(words.some_names(1, DISK)?.iter().map(PathBuf::from).collect())
}

/// `container create`.
pub fn create(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let kind = match words.one_of(&["--private", "--shared", "--deported"])? {
        Some("--private") => ContainerKind::Private,
        Some("--shared") => ContainerKind::Shared,
        Some(_) => ContainerKind::Deported,
        None => return Err(words.missing("--private, --shared or --deported").into()),
    };
    if kind != ContainerKind::Private && words.has("--owner") {
        words.one_of(&["--shared", "--deported", "--owner"])?;
    }
    let ask = CreateAsk {
        name: new_name(words, words.name(0, NAME)?, NAME)?,
        kind,
        owner: words.one("--owner").map(owner),
        template: words.has("--template"),
        extent: words.parsed("--extent", Size::parse_plain)?.unwrap_or(Bytes(EXTENT_BYTES_DEFAULT)),
        taking: taking(words)?,
        disks: paths(words)?,
    };
    Ok(Answer::Changed(context(words, globals)?.container_create(&ask)?))
}

/// `container modify`.
pub fn modify(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    let ask = ModifyAsk {
        owner: words.one("--owner").map(owner),
        kind: words.parsed("--type", kind)?,
        name: words.parsed("--name", Name::parse)?,
    };
    Ok(Answer::Changed(context(words, globals)?.container_modify(name, &ask)?))
}

/// `container expand`.
pub fn expand(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let (name, disks, taking) = (words.name(0, NAME)?, paths(words)?, taking(words)?);
    Ok(Answer::Changed(context(words, globals)?.container_expand(name, &disks, &taking)?))
}

/// `container shrink`.
pub fn shrink(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let (name, disks) = (words.name(0, NAME)?, words.some_names(1, DISK)?);
    Ok(Answer::Changed(context(words, globals)?.container_shrink(name, disks)?))
}

/// `container readmit`.
pub fn readmit(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let (name, disks) = (words.name(0, NAME)?, words.some_names(1, DISK)?);
    Ok(Answer::Changed(context(words, globals)?.container_readmit(name, disks)?))
}

/// `container deport`.
pub fn deport(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    Ok(Answer::Changed(context(words, globals)?.container_deport(name)?))
}

/// `container import`.
pub fn import(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    let mut context = context(words, globals)?;
    let new_ids = words.has("--new-ids");
    Ok(Answer::Changed(if new_ids {
        context.container_new_ids(name)?
    } else {
        context.container_import(name)?
    }))
}

/// `container takeover`.
pub fn takeover(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    let reason = words.one("--reason").ok_or_else(|| words.missing("--reason TEXT"))?.to_string();
    let ask = TakeoverAsk { reason, sworn: words.one("--sworn").map(Into::into) };
    Ok(Answer::Changed(context(words, globals)?.container_takeover(name, &ask)?))
}

/// `container delete`.
pub fn delete(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    Ok(Answer::Changed(context(words, globals)?.container_delete(name)?))
}
