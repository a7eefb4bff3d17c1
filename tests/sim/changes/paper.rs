//! What a machine keeps on its own disk about the configuration: what it goes by, whether that was in force, and what it promised and
//! accepted about the next one.

use evms::base::id::{ClusterId, DiskId, NodeId, NodeUuid};
use evms::base::name::Name;
use evms::base::small_map::SmallMap;
use evms::cluster::accord::Accord;
use evms::cluster::configuration::{Configuration, Voter};
use evms::cluster::roster::{ArbitrationDisk, Member, PORT_DEFAULT, Roster};
use evms::cluster::timing::Timing;

use crate::chance::Chance;

/// The disk of one machine.
#[derive(Clone, Debug)]
pub struct Paper {
    pub roster: Roster,
    /// Was this machine quorate by a majority of it?
    pub in_force: bool,
    pub accord: Accord,
}

impl Paper {
    pub fn new(roster: Roster, in_force: bool) -> Paper {
        let accord = Accord::of(&roster, None);
        Paper { roster, in_force, accord }
    }

    pub fn adopt(&mut self, next: &Roster) {
        let roster = next.clone().following(&self.roster);
        *self = Paper { accord: Accord::of(&roster, Some(self.accord.clone())), roster, in_force: false };
    }

    /// What a daemon must not do.
    pub fn forget(&mut self) {
        self.accord = Accord::of(&self.roster, None);
    }
}

/// A node that may be in it.
pub fn member(node: NodeId) -> Member {
    Member {
        name: Name::parse(&format!("n{node}")).expect("a name"),
        links: vec![core::net::IpAddr::from([10, 0, 0, node.0 as u8])],
        joining: 0,
    }
}

pub fn voter(node: NodeId, votes: u16) -> Voter {
    Voter { uuid: NodeUuid([node.0 as u8; 16]), votes }
}

/// So many arbitration disks.
pub fn disks(count: u8) -> Vec<ArbitrationDisk> {
    let disk = |number: u8| ArbitrationDisk { path: format!("/dev/d{number}"), id: DiskId([number; 16]) };
    (1..=count).map(disk).collect()
}

/// By what a cluster begins.
pub fn first(chance: &mut Chance) -> Roster {
    let nodes = [2, 2, 3, 3, 4, 4, 5][chance.below(7) as usize];
    let arbitration_disks = [0, 1, 3, 3][chance.below(4) as usize];
    let ids = || (1..=nodes).map(NodeId);
    Roster {
        name: Name::parse("c").expect("a name"),
        port: PORT_DEFAULT,
        arbitration: disks(arbitration_disks),
        highest: 0,
        strict: false,
        members: ids().map(|node| (node, member(node))).collect::<SmallMap<_, _>>(),
        configuration: Configuration {
            cluster: ClusterId([7; 16]),
            generation: 3,
            nodes: ids().map(|node| (node, voter(node, 1))).collect(),
            arbitration_disks,
            // Nothing makes up for a lease that is wrong.
            timing: Timing { watchdog_ms: 0, drain_ms: 0, ..Timing::default() },
        },
    }
}
