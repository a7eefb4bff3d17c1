//! The plug-ins of the disk wing and their one table. A plug-in is a type behind a trait: it claims what carries its
//! metadata, says what the object becomes, and answers `can_…` with a reason when it declines. Who needs a plug-in asks
//! every one in the table; nothing outside it knows a plug-in by name or number.

use crate::base::units::{Bytes, Extents, Sectors};
use crate::format::model::{Region, Run};

pub mod csm;
pub mod foreign;
pub mod fsim;
pub mod glob;
pub mod linear;
pub mod local_disk;
mod peek;
pub mod region;
pub mod stripe;

use region::RegionManager;

/// All plug-ins, lowest layer first.
pub static TABLE: &[&dyn Plugin] =
    &[&local_disk::LocalDisk, &csm::Csm, &foreign::Foreign, &linear::Linear, &stripe::Stripe, &fsim::Fsim];

/// Where in the stack of objects a plug-in works. The numbers are those of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Finds disks.
    DeviceManager = 1,
    /// Cuts a disk into segments.
    SegmentManager = 2,
    /// Makes regions from the extents of a container.
    RegionManager = 3,
    /// Adds a feature to an object.
    Feature = 4,
    /// Knows what is on a volume.
    Fsim = 6,
}

/// What was read of an object while looking: a few bytes of both ends.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Size of the object.
    pub size: Bytes,
    /// Its first bytes.
    pub head: &'a [u8],
    /// Its last bytes.
    pub tail: &'a [u8],
}

/// An object that a plug-in knows as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is, for people.
    pub what: String,
    /// The size that it states itself, if it does.
    pub size: Option<Bytes>,
}

/// A plug-in.
pub trait Plugin: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Its layer.
    fn layer(&self) -> Layer;

    /// Its number: layer * 16 and a number in the layer. Stored in models, never given to another plug-in.
    fn id(&self) -> u16;

    /// What an object becomes under it.
    fn makes(&self) -> &'static str;

    /// Does the object carry its metadata?
    fn probe(&self, _look: &Look<'_>) -> Option<Claim> {
        None
    }

    /// Its talents as region manager, if it is one.
    fn region_manager(&self) -> Option<&dyn RegionManager> {
        None
    }
}

/// The plug-in with this number.
pub fn by_id(id: u16) -> Option<&'static dyn Plugin> {
    TABLE.iter().copied().find(|plugin| plugin.id() == id)
}

/// The plug-ins of one layer.
pub fn of_layer(layer: Layer) -> impl Iterator<Item = &'static dyn Plugin> {
    TABLE.iter().copied().filter(move |plugin| plugin.layer() == layer)
}

/// The manager of a region.
pub fn manager(region: &Region) -> Option<&'static dyn RegionManager> {
    by_id(region.plugin)?.region_manager()
}

/// The region manager that makes this shape, and its number; or why none does.
pub fn for_shape(
    shape: &region::Shape,
    extent: Sectors,
) -> Result<(u16, &'static dyn RegionManager), region::Decline> {
    let mut declined = region::Decline::NotMine;
    for plugin in TABLE {
        let Some(manager) = plugin.region_manager() else { continue };
        match manager.can_make(shape, extent) {
            Ok(()) => return Ok((plugin.id(), manager)),
            Err(region::Decline::NotMine) => {}
            Err(reason) => declined = reason,
        }
    }
    Err(declined)
}

/// Extents of one column.
fn column_length(column: &[Run]) -> Extents {
    crate::volume::runs::total(column)
}

#[cfg(test)]
mod tests;
