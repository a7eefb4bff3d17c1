//! What may not be changed while it is active in this machine's kernel: a table would go on pointing at extents that are
//! somebody else's by then.

use crate::base::failure::Kind;
use crate::base::name::Name;
use crate::engine::guard::Place;
use crate::format::model::Model;
use crate::host::dm::Dm;
use crate::run::failure::RunError;
use crate::run::live::Live;
use crate::volume::request::Request;
use crate::volume::stack;

/// How much of a container must be down for a request.
enum Down<'a> {
    Nothing,
    Volume(&'a Name),
    Volumes,
    All,
}

fn needs(request: &Request) -> Down<'_> {
    match request {
        Request::VolumeShrink { name, .. }
        | Request::VolumeRename { name, .. }
        | Request::VolumeDelete { name } => Down::Volume(name),
        Request::Restore { .. } => Down::Volumes,
        Request::Modify { .. } | Request::Takeover { .. } | Request::Shrink { .. } | Request::Delete => {
            Down::All
        }
        Request::Admit { .. }
        | Request::Withdraw
        | Request::Expel { .. }
        | Request::Expand { .. }
        | Request::Readmit { .. }
        | Request::VolumeCreate { .. }
        | Request::VolumeExpand { .. }
        | Request::Settle => Down::Nothing,
    }
}

/// Refuses a request on what is active here. Without device-mapper nothing is.
pub fn refuse(model: &Model, place: Place, request: &Request) -> Result<(), RunError> {
    let needs = needs(request);
    if matches!(needs, Down::Nothing) || place == Place::Images {
        return Ok(());
    }
    let Ok(mut dm) = Dm::open() else { return Ok(()) };
    let live = Live::look(&mut dm).map_err(RunError::Dm)?;
    let id = model.container.id;
    let (volumes, gates) = (stack::volume_uuids(id), stack::gate_uuids(id));
    let active = match needs {
        Down::Nothing => None,
        Down::Volume(name) => model.volume(name).and_then(|volume| live.of(&stack::volume_uuid(id, volume))),
        Down::Volumes => live.beginning(&volumes).map(|(_, listed)| listed).next(),
        Down::All => live.beginning(&volumes).chain(live.beginning(&gates)).map(|(_, listed)| listed).next(),
    };
    let Some(listed) = active else { return Ok(()) };
    let what = match needs {
        Down::Volume(name) => format!("{}/{name}", model.container.name),
        _ => model.container.name.to_string(),
    };
    Err(RunError::say(
        Kind::Refused,
        format!(
            "{what} is active here ({}) and this cannot be done while it is; nothing was written; first run: evms deactivate \
             {what}",
            listed.name
        ),
    ))
}
