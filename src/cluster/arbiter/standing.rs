//! How the arbiter stands, for people and for the cold start.

use core::fmt;

use crate::base::id::NodeId;
use crate::base::time::BootTime;
use crate::cluster::arbiter::Arbiter;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::ViewNumber;
use crate::format::arbitration::{Ballot, ViewRecord};

/// One arbitration disk, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStanding {
    /// When a read of it last succeeded; nothing when none ever did.
    pub last_read: Option<BootTime>,
    /// Did one within a disk lease?
    pub answers: bool,
}

/// What the arbiter is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There are no arbitration disks: ties are nobody's.
    Without,
    /// Fewer disks answer than a majority.
    TooFewDisks,
    /// There is no tie, or another member bids.
    Rests,
    /// There is a tie, and the disks were not watched for long enough, or another's turn comes first.
    Waits,
    /// Another view won, or may have.
    Lost {
        /// That one; nothing where its record cannot be read.
        holder: Option<ViewNumber>,
        /// Its members.
        members: NodeSet,
    },
    /// It bids.
    Bids,
    /// This node's view holds the tie by this node's writes.
    Holds {
        /// Since when, by this node's clock.
        since: BootTime,
        /// Until when.
        until: BootTime,
    },
}

impl Arbiter {
    /// How each disk stands.
    pub fn disks(&self, now: BootTime) -> Vec<DiskStanding> {
        let one = |last_read: Option<BootTime>| DiskStanding {
            last_read,
            answers: last_read.is_some_and(|at| at.plus_ms(self.timing.disk_lease_ms) > now),
        };
        self.disks.iter().map(|disk| one(disk.last_read())).collect()
    }

    /// Does a majority of the disks answer?
    pub fn reaches(&self, now: BootTime) -> bool {
        let answers = |disk: &&super::Disk| {
            disk.last_read().is_some_and(|at| at.plus_ms(self.timing.disk_lease_ms) > now)
        };
        !self.disks.is_empty() && self.disks.iter().filter(answers).count() >= self.majority()
    }

    /// How it stands.
    pub fn standing(&self, now: BootTime) -> Standing {
        if self.disks.is_empty() {
            return Standing::Without;
        }
        if let Some((since, until)) = self.held.filter(|(_, until)| self.renews() && now < *until) {
            return Standing::Holds { since, until };
        }
        if !self.reaches(now) {
            return Standing::TooFewDisks;
        }
        let Some((wish, _)) = &self.wish else { return Standing::Rests };
        if self.bids.is_some() {
            return Standing::Bids;
        }
        let asked = super::Asked { me: &self.me, timing: &self.timing, rules: self.rules, now };
        let rival = self.disks.iter().find_map(|disk| disk.rival(wish, &asked));
        rival.map_or(Standing::Waits, |rival| Standing::Lost {
            holder: rival.is_some().then(|| ViewNumber::of(&rival)),
            members: NodeSet::from_bits(rival.members),
        })
    }

    /// The view that was accepted in the highest ballot that is seen on any disk.
    pub fn newest_holder(&self) -> Option<(Ballot, ViewRecord)> {
        let blocks = self.disks.iter().flat_map(super::Disk::all_known);
        let accepted =
            blocks.filter(|block| block.holder.is_some()).map(|block| (block.accepted, block.holder));
        accepted.max()
    }

    /// The newest view by which anybody was quorate that stands on any disk; nothing before a majority was read.
    pub fn last_quorate(&self) -> Option<ViewRecord> {
        let blocks = self.disks.iter().flat_map(super::Disk::all_known);
        let newest = blocks.map(|block| block.quorate).filter(ViewRecord::is_some).max();
        newest.filter(|_| self.recovered)
    }

    /// The highest generation of a configuration that anybody goes by on any disk.
    pub fn newest_generation(&self) -> u64 {
        let blocks = self.disks.iter().flat_map(super::Disk::all_known);
        blocks.map(|block| block.generation).max().unwrap_or(0)
    }

    /// Did this node's beat move on any disk within the time that a takeover waits?
    pub fn moves(&self, node: NodeId) -> bool {
        self.disks.iter().any(|disk| disk.moved_within(node, self.timing.take_ms()))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Without => write!(f, "no arbitration disks: a tie makes nobody quorate"),
            Standing::TooFewDisks => write!(f, "fewer arbitration disks answer than a majority"),
            Standing::Rests => write!(f, "nothing to decide here"),
            Standing::Waits => write!(f, "waits before it bids"),
            Standing::Lost { holder: Some(view), members } => {
                write!(f, "view {view} (nodes {members}) holds the tie, or may still")
            }
            Standing::Lost { holder: None, .. } => write!(f, "a block that cannot be read may hold the tie"),
            Standing::Bids => write!(f, "bids"),
            Standing::Holds { .. } => write!(f, "this view holds the tie"),
        }
    }
}
