//! Striped regions: columns on different disks, written in turn, one stripe unit each. Picture a wall of bricks laid
//! row by row: where a column's disk changes, every column is cut there, and each *band* between two cuts is one line
//! for device-mapper. Since an extent is a multiple of the unit, cutting or joining bands moves no sector.

use serde::{Deserialize, Serialize};

use crate::base::id::DiskNumber;
use crate::base::limits::{STRIPE_BYTES_MAX, STRIPE_BYTES_MIN, STRIPES_MAX};
use crate::base::small_map::SmallMap;
use crate::base::sorted::sort;
use crate::base::units::{Bytes, Extents, KIB, SECTOR_BYTES, Sectors};
use crate::format::model::{Region, Run};
use crate::volume::alloc::FreeSpace;
use crate::volume::lines::{DmLine, DmWord, Geometry};
use crate::volume::plugins::region::{Cut, Decline, Flaw, Made, RegionManager, Shape, bounded};
use crate::volume::plugins::{Layer, Plugin, column_length};
use crate::volume::runs;

/// The stripe unit when none is asked.
pub const STRIPE_BYTES_DEFAULT: u64 = 64 * KIB;

/// The plug-in.
pub struct Stripe;

/// What stands in [`Region::params`]. Version 1: never edited, a change is a new plug-in number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Params {
    unit: Sectors,
}

impl Plugin for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn layer(&self) -> Layer {
        Layer::RegionManager
    }

    fn id(&self) -> u16 {
        0x32
    }

    fn makes(&self) -> &'static str {
        "striped region"
    }

    fn region_manager(&self) -> Option<&dyn RegionManager> {
        Some(self)
    }
}

fn params(region: &Region) -> Result<Params, Flaw> {
    match postcard::take_from_bytes(&region.params) {
        Ok((params, [])) => Ok(params),
        _ => Err(Flaw::Params),
    }
}

fn unit_fits(unit: Bytes, extent: Bytes) -> bool {
    let in_limits = (STRIPE_BYTES_MIN..=STRIPE_BYTES_MAX).contains(&unit.0) && unit.0.is_power_of_two();
    in_limits && extent.0.is_multiple_of(unit.0)
}

fn bytes(sectors: Sectors) -> Bytes {
    Bytes(sectors.0.saturating_mul(SECTOR_BYTES))
}

fn unit_of(shape: &Shape) -> Bytes {
    shape.chunk.unwrap_or(Bytes(STRIPE_BYTES_DEFAULT))
}

/// The disk where each column ends, if they are different ones.
fn last_disks(region: &Region) -> Option<Vec<DiskNumber>> {
    let disks: Option<Vec<DiskNumber>> =
        region.columns.iter().map(|column| Some(column.last()?.disk)).collect();
    disks.filter(|disks| !disks.is_empty())
}

/// Extents that every one of these disks has free.
fn least(disks: &[DiskNumber], free: &FreeSpace) -> Extents {
    disks.iter().map(|&disk| free.on(disk)).min().unwrap_or(Extents::ZERO)
}

/// Extents that the `columns` roomiest disks have free, each.
fn widest(columns: usize, free: &FreeSpace) -> Extents {
    columns
        .checked_sub(1)
        .and_then(|last| free.roomiest().get(last).copied())
        .map_or(Extents::ZERO, |(_, free)| free)
}

/// Appends `each` extents to every column, column by column from `disks`.
fn extend(columns: &mut [Vec<Run>], disks: &[DiskNumber], each: Extents, free: &mut FreeSpace) -> Option<()> {
    for (column, &disk) in columns.iter_mut().zip(disks) {
        let mut left = each;
        let last = column.last().copied().filter(|last| last.disk == disk);
        if let Some(more) = last.and_then(|last| free.take_after(last, left)) {
            left = runs::sub(left, more.count);
            runs::push(column, more);
        }
        if left > Extents::ZERO {
            free.take_on(disk, left)?.into_iter().for_each(|run| runs::push(column, run));
        }
    }
    Some(())
}

fn roomiest(columns: usize, free: &FreeSpace) -> Vec<DiskNumber> {
    let mut disks: Vec<DiskNumber> =
        free.roomiest().into_iter().take(columns).map(|(disk, _)| disk).collect();
    sort(&mut disks);
    disks
}

/// Extents per column; a region without columns has none.
fn rows(length: Extents, columns: usize) -> Extents {
    Extents(length.0.checked_div(columns as u64).unwrap_or(0))
}

/// The disks of all columns at each row where one of them changes. Refuses two columns on one disk.
fn check_bands(region: &Region) -> Result<(), Flaw> {
    let mut cuts: Vec<(Extents, usize, DiskNumber)> = Vec::new();
    for (column, list) in region.columns.iter().enumerate() {
        let mut row = Extents::ZERO;
        for run in list {
            cuts.push((row, column, run.disk));
            row = runs::add(row, run.count);
        }
    }
    sort(&mut cuts);
    let mut now: Vec<Option<DiskNumber>> = vec![None; region.columns.len()];
    let mut used: SmallMap<DiskNumber, u32> = SmallMap::new();
    for band in cuts.chunk_by(|one, other| one.0 == other.0) {
        for &(_, column, disk) in band {
            if let Some(before) = now[column].replace(disk).and_then(|before| used.get_mut(&before)) {
                *before -= 1;
            }
            *used.or_insert_with(disk, || 0) += 1;
        }
        if let Some(&(_, _, disk)) =
            band.iter().find(|(_, _, disk)| used.get(disk).is_some_and(|&count| count > 1))
        {
            return Err(Flaw::SameDisk(disk));
        }
    }
    Ok(())
}

impl RegionManager for Stripe {
    fn can_make(&self, shape: &Shape, extent: Sectors) -> Result<(), Decline> {
        let (unit, extent) = (unit_of(shape), bytes(extent));
        match shape.columns {
            1 => Err(Decline::NotMine),
            2..=STRIPES_MAX if unit_fits(unit, extent) => Ok(()),
            2..=STRIPES_MAX => Err(Decline::StripeUnit { unit, extent }),
            count => Err(Decline::StripeCount(count)),
        }
    }

    fn validate(&self, region: &Region, extent: Sectors) -> Result<(), Flaw> {
        let unit = params(region)?.unit;
        if !unit_fits(bytes(unit), bytes(extent)) {
            return Err(Flaw::Unit(unit));
        }
        if !(2..=usize::from(STRIPES_MAX)).contains(&region.columns.len()) {
            return Err(Flaw::Columns(region.columns.len()));
        }
        let mut lengths = region.columns.iter().map(|column| column_length(column));
        let first = lengths.next();
        if lengths.any(|length| Some(length) != first) {
            return Err(Flaw::Unequal);
        }
        check_bands(region)
    }

    fn shape(&self, region: &Region) -> Result<Shape, Flaw> {
        let columns = u16::try_from(region.columns.len()).map_err(|_| Flaw::Columns(region.columns.len()))?;
        Ok(Shape { columns, chunk: Some(bytes(params(region)?.unit)) })
    }

    fn length(&self, region: &Region) -> Extents {
        region.columns.iter().fold(Extents::ZERO, |sum, column| runs::add(sum, column_length(column)))
    }

    fn capacity(&self, shape: &Shape, free: &FreeSpace) -> Extents {
        Extents(widest(usize::from(shape.columns), free).0.saturating_mul(u64::from(shape.columns)))
    }

    fn make(&self, shape: &Shape, length: Extents, free: &mut FreeSpace) -> Result<Made, Decline> {
        let count = usize::from(shape.columns);
        let each = rows(length, count);
        let declined = Decline::NoColumns { columns: shape.columns, each, free: free.by_disk() };
        if each == Extents::ZERO || widest(count, free) < each {
            return Err(declined);
        }
        let mut columns = vec![Vec::new(); count];
        let disks = roomiest(count, free);
        extend(&mut columns, &disks, each, free).ok_or(declined)?;
        let unit = unit_of(shape).whole_sectors();
        let params = postcard::to_allocvec(&Params { unit }).map_err(|_| Decline::Flawed(Flaw::Params))?;
        Ok(Made { params, columns: bounded(columns)? })
    }

    fn can_grow(&self, region: &Region, free: &FreeSpace) -> Extents {
        let count = region.columns.len();
        let here = last_disks(region).map_or(Extents::ZERO, |disks| least(&disks, free));
        let then = widest_after(region, here, free);
        let each = widest(count, free).max(runs::add(here, then));
        Extents(each.0.saturating_mul(count as u64))
    }

    fn grow(&self, region: &Region, by: Extents, free: &mut FreeSpace) -> Result<Vec<Vec<Run>>, Decline> {
        let count = region.columns.len();
        let each = rows(by, count);
        let stripes = u16::try_from(count).unwrap_or(u16::MAX);
        let declined = || Decline::NoColumns { columns: stripes, each, free: free.by_disk() };
        if self.can_grow(region, free).0 < by.0 || each == Extents::ZERO {
            return Err(declined());
        }
        let declined = declined();
        let mut columns = region.columns.clone();
        let here = last_disks(region).unwrap_or_default();
        // On where they are; or all on other disks; or first the one, then the other.
        let first = match (least(&here, free), widest(count, free)) {
            (room, _) if room >= each => each,
            (_, room) if room >= each => Extents::ZERO,
            (room, _) => room,
        };
        extend(&mut columns, &here, first, free).ok_or_else(|| declined.clone())?;
        let rest = runs::sub(each, first);
        if rest > Extents::ZERO {
            let disks = roomiest(count, free);
            extend(&mut columns, &disks, rest, free).ok_or(declined)?;
        }
        bounded(columns)
    }

    fn shrink(&self, region: &Region, length: Extents) -> Result<Cut, Decline> {
        let each = rows(length, region.columns.len());
        if each == Extents::ZERO {
            return Err(Decline::NothingLeft);
        }
        let (columns, freed): (Vec<_>, Vec<_>) =
            region.columns.iter().map(|column| runs::cut(column, each)).unzip();
        Ok(Cut { columns, freed: freed.concat() })
    }

    fn map(&self, region: &Region, sector: Sectors, geometry: &Geometry) -> Option<(DiskNumber, Sectors)> {
        let (unit, count) = (params(region).ok()?.unit.0, region.columns.len() as u64);
        let chunk = sector.0.checked_div(unit)?;
        let column = region.columns.get(usize::try_from(chunk.checked_rem(count)?).ok()?)?;
        let in_column = (chunk / count).checked_mul(unit)?.checked_add(sector.0 % unit)?;
        let extent = geometry.extent().0;
        let (disk, at) = runs::find(column, Extents(in_column.checked_div(extent)?))?;
        Some((disk, geometry.place(disk, at)?.plus(Sectors(in_column % extent))?))
    }

    fn lines(&self, region: &Region, geometry: &Geometry) -> Option<Vec<DmLine>> {
        let (unit, count) = (params(region).ok()?.unit.0, region.columns.len() as u64);
        let mut columns = region.columns.clone();
        let (mut start, mut lines) = (Sectors::ZERO, Vec::new());
        while let Some(each) =
            columns.iter().map(|column| column.first().map(|run| run.count)).min().flatten()
        {
            let mut words = vec![DmWord::Number(count), DmWord::Number(unit)];
            for column in &mut columns {
                let run = column.first_mut()?;
                words.push(DmWord::Place(run.disk, geometry.place(run.disk, run.start)?));
                *run = Run { start: runs::add(run.start, each), count: runs::sub(run.count, each), ..*run };
                if run.count == Extents::ZERO {
                    column.remove(0);
                }
            }
            let length = geometry.sectors(Extents(each.0.checked_mul(count)?))?;
            lines.push(DmLine { start, length, target: "striped", words });
            start = start.plus(length)?;
        }
        Some(lines)
    }
}

/// What the roomiest disks have free, each, once the present ones gave `taken` each.
fn widest_after(region: &Region, taken: Extents, free: &FreeSpace) -> Extents {
    let mut free = free.clone();
    for disk in last_disks(region).unwrap_or_default() {
        // `taken` is what the poorest of them has; should it not, nothing is taken and the answer stays too small.
        free.take_on(disk, taken);
    }
    widest(region.columns.len(), &free)
}
