//! Verbs that ask the daemon: how the cluster is, and why.

use evms::format::control::{Request, Status};
use evms::run::ask::{self, Asking};

use crate::evms::answer::{Answer, Containers};
use crate::evms::containers;
use crate::evms::globals::Globals;
use crate::evms::print_status;
use crate::evms::verbs::Refused;
use crate::evms::words::{Words, number};
use crate::exit::Exit;
use crate::out;

/// Bytes of a ping when nothing is said.
const PING_BYTES: u32 = 64;
/// And how often.
const PING_COUNT: u32 = 10;

/// `status`.
pub fn status(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    if words.has("--watch") {
        return watch(words, &globals);
    }
    let node = node(&globals);
    let status = ask::status(node)?;
    if !node.is_empty() {
        // How its disks are another machine knows.
        return Ok(Answer::Status(status, None));
    }
    if globals.json {
        let containers = of_disks(words, globals, &status);
        return Ok(Answer::Status(status, Some(containers)));
    }
    // Who looks for what is wrong is not to wait for a disk that hangs before he sees the rest.
    let begun = out::text(&print_status::begin(&status));
    let ended = begun.and_then(|()| {
        let containers = of_disks(words, globals, &status);
        out::text(&print_status::end(&status, Some(&containers)))
    });
    Ok(Answer::Printed(out::finish("evms", ended)))
}

/// What the disks say. A cluster's state is told whatever becomes of that.
fn of_disks(words: &Words, globals: Globals, status: &Status) -> Containers {
    let told = containers::context(words, globals)
        .map_err(|refused| refused.0.to_string())
        .and_then(|context| context.tenures(status.clone()).map_err(|error| error.to_string()));
    match told {
        Ok((told, unclear)) => Containers { told, unclear },
        Err(why) => {
            Containers { told: Vec::new(), unclear: vec![format!("the disks cannot be read: {why}")] }
        }
    }
}

/// `why`, of the node or of a container.
pub fn why(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    match words.names(0) {
        [] => Ok(Answer::Why(ask::status(node(&globals))?)),
        [container, ..] => Ok(Answer::Tenure(containers::context(words, globals)?.tenure(container)?)),
    }
}

/// `list nodes`.
pub fn nodes(globals: &Globals) -> Result<Answer, Refused> {
    Ok(Answer::Nodes(ask::status(node(globals))?))
}

/// `node ping`.
pub fn ping(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, "NODE")?;
    let (bytes, count, at_once) = (
        words.parsed("--bytes", number)?.unwrap_or(PING_BYTES),
        words.parsed("--count", number)?.unwrap_or(PING_COUNT),
        words.parsed("--at-once", number)?.unwrap_or(1),
    );
    Ok(Answer::Pinged(ask::ping(node(&globals), name, bytes, count, at_once)?))
}

/// Of which node's daemon is it asked?
fn node(globals: &Globals) -> &str {
    if globals.node == "local" { "" } else { &globals.node }
}

/// Each answer takes the place of the one before on a terminal; elsewhere they follow each other.
fn watch(words: &Words, globals: &Globals) -> Result<Answer, Refused> {
    if !node(globals).is_empty() {
        let why = "only this machine's own evmsd is watched; run it on that node";
        return Err(words.bad("--watch", &why).into());
    }
    let mut asking = Asking::begin()?;
    asking.ask("", Request::Watch)?;
    loop {
        let status: Status = asking.status()?;
        let printed = if globals.json {
            Answer::Status(status, None).json().map_or(Ok(()), |value| out::json(&value))
        } else {
            out::page(&print_status::status(&status, None))
        };
        if printed.is_err() || out::reader_is_gone() {
            return Ok(Answer::Printed(Exit::Done));
        }
    }
}
