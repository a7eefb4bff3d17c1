//! Verbs that ask the daemon: how the cluster is, and why.

use evms::format::control::{Request, Status};
use evms::run::ask::{self, Asking};

use crate::evms::answer::Answer;
use crate::evms::globals::Globals;
use crate::evms::print_status;
use crate::evms::verbs::Refused;
use crate::evms::words::Words;
use crate::exit::Exit;
use crate::out;

/// `status`.
pub fn status(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    if words.has("--watch") {
        return watch(&globals);
    }
    Ok(Answer::Status(ask::status()?))
}

/// `why`.
pub fn why(_: &Words, _: Globals) -> Result<Answer, Refused> {
    Ok(Answer::Why(ask::status()?))
}

/// `list nodes`.
pub fn nodes() -> Result<Answer, Refused> {
    Ok(Answer::Nodes(ask::status()?))
}

/// Each answer takes the place of the one before on a terminal; elsewhere they follow each other.
fn watch(globals: &Globals) -> Result<Answer, Refused> {
    let mut asking = Asking::begin()?;
    asking.ask(&Request::Watch)?;
    loop {
        let status: Status = asking.status()?;
        let printed = if globals.json {
            Answer::Status(status).json().map_or(Ok(()), |value| out::json(&value))
        } else {
            out::page(&print_status::status(&status))
        };
        if printed.is_err() || out::reader_is_gone() {
            return Ok(Answer::Printed(Exit::Done));
        }
    }
}
