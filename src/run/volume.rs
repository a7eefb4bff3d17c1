//! Commands about volumes.

use crate::base::name::{Name, VolumePath};
use crate::base::size::{Resize, Size};
use crate::base::units::{BLOCK_BYTES, Bytes, SECTOR_BYTES, Sectors};
use crate::engine::guard::Act;
use crate::format::model::{Model, Volume};
use crate::host::disk::OpenDisk;
use crate::run::change::Held;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::report::Changed;
use crate::volume::lines::Geometry;
use crate::volume::plugins::{self, fsim};
use crate::volume::request::{Content, Request};

/// Bytes at the head of a volume in which every file system that states a size has done so.
const HEAD_BYTES: u64 = 128 * 1024;

/// A volume to be made.
#[derive(Clone, Debug)]
pub struct VolumeAsk {
    /// Its name.
    pub path: VolumePath,
    /// Its size.
    pub size: Size,
    /// Its stripes.
    pub stripes: Option<u16>,
    /// Its stripe unit.
    pub stripe_bytes: Option<Bytes>,
    /// Only on these disks.
    pub on: Vec<String>,
}

impl Context {
    /// `volume create`.
    pub fn volume_create(&mut self, ask: &VolumeAsk) -> Result<Changed, RunError> {
        let held = self.hold(ask.path.container.as_str(), Act::Change)?;
        let on = ask.on.iter().map(|word| held.disk_number(word)).collect::<Result<Vec<_>, _>>()?;
        let request = Request::VolumeCreate {
            name: ask.path.volume.clone(),
            size: ask.size,
            stripes: ask.stripes,
            stripe_bytes: ask.stripe_bytes,
            on,
        };
        self.errand(&held, request, Act::Change)
    }

    /// `volume expand`.
    pub fn volume_expand(
        &mut self,
        path: &VolumePath,
        size: Resize,
        on: &[String],
    ) -> Result<Changed, RunError> {
        let held = self.hold(path.container.as_str(), Act::Change)?;
        let on = on.iter().map(|word| held.disk_number(word)).collect::<Result<Vec<_>, _>>()?;
        let request = Request::VolumeExpand { name: path.volume.clone(), size, on };
        self.errand(&held, request, Act::Change)
    }

    /// `volume shrink`.
    pub fn volume_shrink(
        &mut self,
        path: &VolumePath,
        size: Resize,
        lose_data_beyond: Option<Bytes>,
    ) -> Result<Changed, RunError> {
        let held = self.hold(path.container.as_str(), Act::Change)?;
        let content = content(&held, &path.volume)?;
        let request = Request::VolumeShrink { name: path.volume.clone(), size, content, lose_data_beyond };
        self.errand(&held, request, Act::Change)
    }

    /// `volume rename`.
    pub fn volume_rename(&mut self, path: &VolumePath, new: &Name) -> Result<Changed, RunError> {
        let held = self.hold(path.container.as_str(), Act::Change)?;
        let request = Request::VolumeRename { name: path.volume.clone(), new: new.clone() };
        self.errand(&held, request, Act::Change)
    }

    /// `volume delete`.
    pub fn volume_delete(&mut self, path: &VolumePath) -> Result<Changed, RunError> {
        let held = self.hold(path.container.as_str(), Act::Change)?;
        self.errand(&held, Request::VolumeDelete { name: path.volume.clone() }, Act::Change)
    }
}

/// What the head of a volume holds. A volume that is not there, or whose disks cannot be read, is `Unknown`: the planner
/// refuses the first by name, and the second needs the user's word.
fn content(held: &Held, name: &Name) -> Result<Content, RunError> {
    let model = &held.chosen()?.model;
    let Some(volume) = model.volume(name) else { return Ok(Content::Unknown) };
    let Some(head) = read_head(held, model, volume) else { return Ok(Content::Unknown) };
    Ok(match fsim::content(&head) {
        fsim::Content::Empty => Content::Empty,
        fsim::Content::FileSystem(stated) => {
            Content::FileSystem { name: stated.name.into(), size: stated.size }
        }
        fsim::Content::Unknown => Content::Unknown,
    })
}

/// Reads the head of a volume through its region's map, block by block.
pub fn read_head(held: &Held, model: &Model, volume: &Volume) -> Option<Vec<u8>> {
    let region = model.region_of(volume)?;
    let manager = plugins::manager(region)?;
    let geometry = Geometry::of(model);
    let length = HEAD_BYTES.min(volume.size.0.saturating_mul(SECTOR_BYTES));
    let mut head = Vec::new();
    while (head.len() as u64) < length {
        let sector = Sectors(head.len() as u64 / SECTOR_BYTES);
        let (number, at) = manager.map(region, sector, &geometry)?;
        let disk = disk_of(held, number)?;
        head.extend(disk.read(at.to_bytes()?, BLOCK_BYTES as usize).ok()?);
    }
    Some(head)
}

fn disk_of(held: &Held, number: crate::base::id::DiskNumber) -> Option<&OpenDisk> {
    let read = held.found.disks.iter().find(|read| read.labelled.label.number == number)?;
    held.scene.disks.get(read.place)?.open.as_ref().ok()
}
