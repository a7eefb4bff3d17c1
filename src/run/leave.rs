//! Before `evmsd leave`: the volumes of the cluster's containers are taken down here. Nobody waits for who left, and
//! so it must have no gate that is open (safety 1.3).

use std::fmt::Display;

use crate::base::failure::Kind;
use crate::host::meant_up;
use crate::run::activate::Wanted;
use crate::run::context::{Context, Options};
use crate::run::deactivate::Open;
use crate::run::failure::RunError;
use crate::run::live::keeping;

/// Takes them down; refused while one is in use. What should be known besides.
pub fn take_down() -> Result<Vec<String>, RunError> {
    let containers = keeping::containers();
    if containers.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |why: &dyn Display| RunError::say(Kind::Refused, format!("this node did not leave: {why}"));
    let wanted = containers.iter().map(|id| Wanted { container: id.to_string(), volumes: Vec::new() });
    let wanted = wanted.collect::<Vec<_>>();
    // Who leaves comes back as it was: nobody took them down but this.
    let meant = meant_up::all();
    let down = Context::new(Options::default())
        .and_then(|mut context| context.deactivate(Some(&wanted), Open::Refuse))
        .map_err(|error| refused(&error))?;
    match (down.failed, down.left.first()) {
        (Some(_), Some(words)) => Err(refused(words)),
        _ => {
            meant.into_iter().for_each(meant_up::note);
            Ok(down.notes)
        }
    }
}
