//! Linear regions: extents one after the other, from any disks, in as few pieces as can be.

use crate::base::id::DiskNumber;
use crate::base::units::{Extents, Sectors};
use crate::format::model::{Region, Run};
use crate::volume::alloc::FreeSpace;
use crate::volume::lines::{DmLine, DmWord, Geometry};
use crate::volume::plugins::region::{Cut, Decline, Flaw, Made, RegionManager, Shape, bounded};
use crate::volume::plugins::{Layer, Plugin, column_length};
use crate::volume::runs;

/// The plug-in.
pub struct Linear;

impl Plugin for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn layer(&self) -> Layer {
        Layer::RegionManager
    }

    fn id(&self) -> u16 {
        0x31
    }

    fn makes(&self) -> &'static str {
        "linear region"
    }

    fn region_manager(&self) -> Option<&dyn RegionManager> {
        Some(self)
    }
}

fn column(region: &Region) -> &[Run] {
    region.columns.first().map_or(&[], Vec::as_slice)
}

fn no_space(needed: Extents, free: &FreeSpace) -> Decline {
    Decline::NoSpace { needed, free: free.by_disk() }
}

impl RegionManager for Linear {
    fn can_make(&self, shape: &Shape, _extent: Sectors) -> Result<(), Decline> {
        match (shape.columns, shape.chunk) {
            (1, None) => Ok(()),
            (1, Some(unit)) => Err(Decline::UnitWithoutStripes(unit)),
            _ => Err(Decline::NotMine),
        }
    }

    fn validate(&self, region: &Region, _extent: Sectors) -> Result<(), Flaw> {
        match (region.params.as_slice(), region.columns.len()) {
            ([], 1) => Ok(()),
            ([], count) => Err(Flaw::Columns(count)),
            _ => Err(Flaw::Params),
        }
    }

    fn shape(&self, _region: &Region) -> Result<Shape, Flaw> {
        Ok(Shape { columns: 1, chunk: None })
    }

    fn length(&self, region: &Region) -> Extents {
        column_length(column(region))
    }

    fn capacity(&self, _shape: &Shape, free: &FreeSpace) -> Extents {
        free.total()
    }

    fn make(&self, _shape: &Shape, length: Extents, free: &mut FreeSpace) -> Result<Made, Decline> {
        let column = free.take(length).ok_or_else(|| no_space(length, free))?;
        Ok(Made { params: Vec::new(), columns: bounded(vec![column])? })
    }

    fn can_grow(&self, _region: &Region, free: &FreeSpace) -> Extents {
        free.total()
    }

    fn grow(&self, region: &Region, by: Extents, free: &mut FreeSpace) -> Result<Vec<Vec<Run>>, Decline> {
        if free.total() < by {
            return Err(no_space(by, free));
        }
        let mut column = column(region).to_vec();
        let mut left = by;
        if let Some(more) = column.last().copied().and_then(|last| free.take_after(last, left)) {
            left = runs::sub(left, more.count);
            runs::push(&mut column, more);
        }
        if left > Extents::ZERO {
            let more = free.take(left).ok_or_else(|| no_space(left, free))?;
            more.into_iter().for_each(|run| runs::push(&mut column, run));
        }
        bounded(vec![column])
    }

    fn shrink(&self, region: &Region, length: Extents) -> Result<Cut, Decline> {
        if length == Extents::ZERO {
            return Err(Decline::NothingLeft);
        }
        let (front, freed) = runs::cut(column(region), length);
        Ok(Cut { columns: vec![front], freed })
    }

    fn map(&self, region: &Region, sector: Sectors, geometry: &Geometry) -> Option<(DiskNumber, Sectors)> {
        let extent = geometry.extent().0;
        let index = sector.0.checked_div(extent).map(Extents)?;
        let (disk, at) = runs::find(column(region), index)?;
        Some((disk, geometry.place(disk, at)?.plus(Sectors(sector.0 % extent))?))
    }

    fn lines(&self, region: &Region, geometry: &Geometry) -> Option<Vec<DmLine>> {
        let mut start = Sectors::ZERO;
        let mut lines = Vec::new();
        for run in column(region) {
            let length = geometry.sectors(run.count)?;
            let words = vec![DmWord::Place(run.disk, geometry.place(run.disk, run.start)?)];
            lines.push(DmLine { start, length, target: "linear", words });
            start = start.plus(length)?;
        }
        Some(lines)
    }
}
