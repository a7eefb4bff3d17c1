//! Where a sector of a region lies, and device-mapper lines as values. The hands turn a line into an ioctl once they
//! know which gate stands for which disk.

use core::fmt::Write;

use crate::base::gather::Gather;
use crate::base::id::DiskNumber;
use crate::base::small_map::SmallMap;
use crate::base::units::{Extents, Sectors};
use crate::format::model::Model;

/// Where the extents of each disk of a container lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    extent: Sectors,
    starts: SmallMap<DiskNumber, Sectors>,
}

impl Geometry {
    /// The geometry of this container.
    pub fn of(model: &Model) -> Geometry {
        let starts = model.table.disks.iter().map(|disk| (disk.number, disk.data_start)).gather();
        Geometry { extent: model.container.extent, starts }
    }

    /// Length of an extent.
    pub fn extent(&self) -> Sectors {
        self.extent
    }

    /// Sectors of so many extents, or `None` past 64 bits.
    pub fn sectors(&self, count: Extents) -> Option<Sectors> {
        count.0.checked_mul(self.extent.0).map(Sectors)
    }

    /// First sector, counted from the start of the disk, of an extent.
    pub fn place(&self, disk: DiskNumber, extent: Extents) -> Option<Sectors> {
        self.starts.get(&disk)?.plus(self.sectors(extent)?)
    }
}

/// One word of a line's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmWord {
    /// A number.
    Number(u64),
    /// A disk, and the sector on it, counted from the start of the disk.
    Place(DiskNumber, Sectors),
}

/// One line of a device-mapper table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmLine {
    /// First sector of the mapped device.
    pub start: Sectors,
    /// How many.
    pub length: Sectors,
    /// The kernel's target.
    pub target: &'static str,
    /// Its parameters.
    pub words: Vec<DmWord>,
}

impl DmLine {
    /// The parameters as the kernel reads them. `device` names what stands for a disk and says at which sector of the
    /// disk it begins; `None` when it does not know the disk, or the place lies before that sector.
    pub fn params(&self, device: impl Fn(DiskNumber) -> Option<(String, Sectors)>) -> Option<String> {
        let mut out = String::new();
        for word in &self.words {
            let gap = if out.is_empty() { "" } else { " " };
            match *word {
                DmWord::Number(number) => write!(out, "{gap}{number}"),
                DmWord::Place(disk, sector) => {
                    let (name, begin) = device(disk)?;
                    write!(out, "{gap}{name} {}", sector.minus(begin)?.0)
                }
            }
            .ok()?;
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_from_where_the_gate_begins() {
        let words = vec![DmWord::Number(2), DmWord::Place(DiskNumber(7), Sectors(4096))];
        let line = DmLine { start: Sectors(0), length: Sectors(8), target: "striped", words };
        let gate = |disk: DiskNumber| Some((format!("/dev/mapper/gate{disk}"), Sectors(96)));
        assert_eq!(line.params(gate), Some("2 /dev/mapper/gate7 4000".into()));
        assert_eq!(line.params(|_| None), None);
        assert_eq!(line.params(|_| Some(("x".into(), Sectors(5000)))), None);
    }
}
