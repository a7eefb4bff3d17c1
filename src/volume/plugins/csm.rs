//! The Cluster Segment Manager: turns a member disk into segments. The ends hold metadata, the middle holds the
//! extents of one container, and nothing else.

use crate::base::units::{BLOCK_BYTES, Bytes, SECTOR_BYTES, Sectors};
use crate::format::label::Label;
use crate::format::layout::{End, HEAD_LABEL_AT, TAIL_LABEL_BYTES};
use crate::format::model::Disk;
use crate::volume::plugins::{Claim, Layer, Look, Plugin};

/// The plug-in.
pub struct Csm;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SegmentKind {
    /// Metadata at the front.
    Front,
    /// The extents.
    Data,
    /// Metadata in the tail.
    Tail,
}

/// So many sectors in a row on one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it holds.
    pub kind: SegmentKind,
    /// First sector.
    pub start: Sectors,
    /// How many.
    pub length: Sectors,
}

impl SegmentKind {
    /// For the segment's name.
    pub fn word(self) -> &'static str {
        match self {
            SegmentKind::Front => "metadata",
            SegmentKind::Data => "data",
            SegmentKind::Tail => "metadata2",
        }
    }
}

/// The segments of a member disk of `size`; empty ones are left out. What follows the last whole extent counts to the
/// tail.
pub fn segments(disk: &Disk, extent: Sectors, size: Bytes) -> Vec<Segment> {
    let size = size.whole_sectors();
    let data_start = disk.data_start.min(size);
    let data = Sectors(disk.extents.0.saturating_mul(extent.0).min(size.0 - data_start.0));
    let data_end = Sectors(data_start.0 + data.0);
    let all = [
        Segment { kind: SegmentKind::Front, start: Sectors::ZERO, length: data_start },
        Segment { kind: SegmentKind::Data, start: data_start, length: data },
        Segment { kind: SegmentKind::Tail, start: data_end, length: Sectors(size.0 - data_end.0) },
    ];
    all.into_iter().filter(|segment| segment.length > Sectors::ZERO).collect()
}

fn label(look: &Look<'_>) -> Option<Label> {
    let head_at = usize::try_from(HEAD_LABEL_AT.0).ok()?;
    // The tail label stands on the grid of blocks; a disk may end a little after it.
    let from_end = usize::try_from(TAIL_LABEL_BYTES + look.size.0 % BLOCK_BYTES).ok()?;
    let tail_at = look.tail.len().checked_sub(from_end);
    let head = look.head.get(head_at..).and_then(|block| Label::decode(block, End::Primary).ok());
    head.or_else(|| Label::decode(look.tail.get(tail_at?..)?, End::Secondary).ok())
}

impl Plugin for Csm {
    fn name(&self) -> &'static str {
        "csm"
    }

    fn layer(&self) -> Layer {
        Layer::SegmentManager
    }

    fn id(&self) -> u16 {
        0x21
    }

    fn makes(&self) -> &'static str {
        "metadata and data segments of a cluster container"
    }

    fn probe(&self, look: &Look<'_>) -> Option<Claim> {
        let label = label(look)?;
        let what = format!("disk {} of container {}", label.number, label.container);
        Some(Claim { what, size: Some(Bytes(label.size.0.saturating_mul(SECTOR_BYTES))) })
    }
}
