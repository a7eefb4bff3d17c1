//! What may not be changed while it is active in this machine's kernel: a table would go on pointing at extents that are
//! somebody else's by then.

use crate::base::failure::Kind;
use crate::base::name::Name;
use crate::engine::guard::Place;
use crate::format::model::Model;
use crate::host::dm::Dm;
use crate::host::openers;
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
        | Request::Suspend { .. }
        | Request::Expel { .. }
        | Request::Expand { .. }
        | Request::Readmit { .. }
        | Request::VolumeCreate { .. }
        | Request::VolumeExpand { .. }
        | Request::Settle => Down::Nothing,
    }
}

/// A volume of a container that somebody has open on this machine.
struct Used {
    path: String,
    device: String,
    by: String,
}

/// The first volume that is open here, and who has it so.
fn used(model: &Model, dm: &mut Dm, live: &Live) -> Option<Used> {
    model.volumes.iter().find_map(|volume| {
        let listed = live.of(&stack::volume_uuid(model.container.id, volume))?;
        let is_open = dm.status(&listed.name).ok()??.open_count > 0;
        // Who has it open is looked for in all processes: not for each that nobody has.
        let users = if is_open { openers::users(listed.number) } else { Vec::new() };
        is_open.then(|| Used {
            path: format!("{}/{}", model.container.name, volume.name),
            device: format!("dm-{}", listed.number.minor),
            by: if users.is_empty() {
                "somebody who cannot be told from here".into()
            } else {
                users.join(", ")
            },
        })
    })
}

/// Refuses a request on what is active on this machine, which people call so: whoever has it open is named. Without device-mapper
/// nothing is active.
pub fn refuse(model: &Model, place: Place, request: &Request, here: &str) -> Result<(), RunError> {
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
    let what = match &needs {
        Down::Volume(name) => format!("{}/{name}", model.container.name),
        _ => model.container.name.to_string(),
    };
    if let (Down::All, Some(Used { path, device, by })) = (needs, used(model, &mut dm, &live)) {
        return Err(RunError::say(
            Kind::Refused,
            format!(
                "volume {path} ({device}) is in use on {here}: {by}; it is active here and this cannot be done while it is; nothing was \
                 written; unmount or close it, and then run: evms deactivate {what}",
            ),
        ));
    }
    Err(RunError::say(
        Kind::Refused,
        format!(
            "{what} is active here, on {here} ({}), and this cannot be done while it is; nothing was written; first run: evms deactivate \
             {what}",
            listed.name
        ),
    ))
}
