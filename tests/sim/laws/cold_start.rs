//! F27: when all were down, half of a cluster that comes back first does not take the tie, unless the newest view on disk was
//! its own alone.

use evms::cluster::node_set::NodeSet;
use evms::cluster::view::View;
use evms::format::arbitration::{self, ArbitrationBlock};

use crate::disk::Disk;
use crate::laws::Broken;

/// Asked when a tie makes quorate where none of its members was quorate since its boot.
pub fn check(view: &View, disks: &[Disk], nodes: u16) -> Result<(), Broken> {
    let blocks = disks.iter().flat_map(|disk| {
        let places =
            (1..=nodes).flat_map(|node| [false, true].map(|second| (evms::base::id::NodeId(node), second)));
        places.filter_map(|(node, second)| {
            let at = arbitration::place(node, second)?.0 as usize;
            ArbitrationBlock::decode(&disk.bytes()[at..at + 4096]).ok()
        })
    });
    let newest = blocks.map(|block| block.quorate).filter(|record| record.is_some()).max();
    let alone = newest.is_some_and(|last| NodeSet::from_bits(last.members).minus(view.nodes()).is_empty());
    if alone {
        return Ok(());
    }
    Err(Broken {
        law: "F27",
        words: format!("{view} took the tie cold; the newest view on disk is {newest:?}"),
    })
}
