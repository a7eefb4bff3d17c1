//! Room for the model: how full a slot is, and how many volumes still fit (design section 4, "room").
//!
//! used = 4096 (header) + bytes of the body; a linear volume of one run adds at most
//! [`LINEAR_VOLUME_BYTES_MAX`];
//! left = (slot − used − [`SPARE_BYTES`]) / that.

use core::fmt;

use crate::base::limits::{CHANGE_TEXT_BYTES_MAX, NAME_BYTES_MAX};
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::model::deed::DEED_BYTES_MAX;
use crate::format::model::{LINEAR_VOLUME_BYTES_MAX, Model};

/// Kept back for what every change may add: the longest sentence about it and a name, a deed, and length fields that grow.
pub const SPARE_BYTES: u64 = 1536;

const _: () = assert!(CHANGE_TEXT_BYTES_MAX + NAME_BYTES_MAX + DEED_BYTES_MAX + 64 < SPARE_BYTES as usize);

/// How full a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Bytes of header and body.
    pub used: Bytes,
    /// Bytes of the slot.
    pub of: Bytes,
    /// Used of it, in hundredths, rounded up; above 100 it does not fit.
    pub percent: u64,
    /// Linear volumes of one run that still fit.
    pub linear_volumes_left: u64,
}

/// How full a slot of `slot` bytes is with this model.
pub fn room(slot: Bytes, model: &Model) -> Fill {
    // A body that cannot be encoded at all fits no slot.
    let body = model.encode().map_or(u64::MAX, |body| body.len() as u64);
    let used = BLOCK_BYTES.saturating_add(body);
    let left = slot.0.saturating_sub(used).saturating_sub(SPARE_BYTES) / LINEAR_VOLUME_BYTES_MAX;
    let percent = u128::from(used).saturating_mul(100).div_ceil(u128::from(slot.0.max(1)));
    let percent = u64::try_from(percent).unwrap_or(u64::MAX);
    Fill { used: Bytes(used), of: slot, percent, linear_volumes_left: left }
}

impl Fill {
    /// Does the model fit the slot?
    pub fn fits(&self) -> bool {
        self.used <= self.of
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} used ({}%), room for {} more linear volumes",
            self.used.human(),
            self.of.human(),
            self.percent,
            self.linear_volumes_left
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dice::Dice;
    use crate::base::id::{DiskNumber, RegionId, VolumeId};
    use crate::base::name::Name;
    use crate::base::units::{Extents, MIB, Sectors};
    use crate::format::model::{ObjectRef, Region, Run, Volume};
    use crate::volume::check;
    use crate::volume::plan::fixture;

    /// `count` linear volumes with the longest names, ids and numbers that a lawful model has.
    fn full(count: u64) -> Model {
        let mut model = fixture::container(&[20_000, 20_000]);
        let mut dice = Dice::from_number(3);
        for nth in 0..count {
            let region = RegionId::random(&mut dice);
            let run = Run { disk: DiskNumber(1), start: Extents(nth), count: Extents(1) };
            model.regions.push(Region { id: region, plugin: 0x31, params: vec![], columns: vec![vec![run]] });
            let name = Name::parse(&format!("v{nth:0>59}")).unwrap();
            let size = Sectors(model.container.extent.0);
            model.volumes.push(Volume {
                id: VolumeId::random(&mut dice),
                name,
                on: ObjectRef::Region(region),
                size,
            });
        }
        model
    }

    #[test]
    fn ten_thousand_linear_volumes_fit_the_default_slot() {
        let model = full(10_000);
        assert_eq!(check::laws(&model), Ok(()));
        let fill = room(Bytes(4 * MIB), &model);
        assert!(fill.fits() && fill.percent < 50, "{fill}");
        assert_eq!(Model::decode(&model.encode().unwrap()).unwrap(), model);
    }

    #[test]
    fn the_promised_volumes_fit_really() {
        for slot in [Bytes(8 * 4096), Bytes(768 * 1024)] {
            let left = room(slot, &full(0)).linear_volumes_left;
            assert!(left > 0 && room(slot, &full(left)).fits(), "{left} in {slot}");
            let beyond = slot.0 / 100;
            assert!(!room(slot, &full(beyond)).fits(), "a slot is not bottomless");
        }
        assert!(room(Bytes(4096), &full(0)).percent > 100);
        let used = room(Bytes(4 * MIB), &full(0)).used.0;
        let left = |more: u64| room(Bytes(used + SPARE_BYTES + more), &full(0)).linear_volumes_left;
        assert_eq!(
            (left(LINEAR_VOLUME_BYTES_MAX - 1), left(LINEAR_VOLUME_BYTES_MAX)),
            (0, 1),
            "the spare is kept back"
        );
    }
}
