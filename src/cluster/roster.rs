//! All that the nodes of a cluster have in common, for people too: names and addresses beside what decides
//! ([`Configuration`]). It stands as a text of TOML in `/etc/evms.conf`, and, as last agreed, in `/var/lib/evms/cluster`.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::hash::Hash128;
use crate::base::id::{DiskId, NodeId, NodeUuid};
use crate::base::limits::NODE_ID_MAX;
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::base::sorted::sort;
use crate::cluster::configuration::Configuration;
use crate::cluster::timing::BadTiming;

pub mod agents;
mod text;

pub use text::BadText;

/// Network paths to one node at most (design section 5).
pub const LINKS_MAX: usize = 4;
/// Bytes of the path of an arbitration disk at most.
const PATH_BYTES_MAX: usize = 255;
/// The port of beats when none is named; messages use the one behind it.
pub const PORT_DEFAULT: u16 = 5430;

/// A node as people know it, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// Its address on each network; the first of one node reaches the first of another.
    pub links: Vec<IpAddr>,
    /// Votes that it gets when it was a member for the first time: before that nobody could say yes for it.
    pub joining: u16,
}

/// A disk that decides which half of a cluster goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArbitrationDisk {
    /// Where every node finds it.
    pub path: String,
    /// Which it is: what stands on it has to say so.
    pub id: DiskId,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Its name.
    pub name: Name,
    /// The UDP port of beats; messages use the one behind it.
    pub port: u16,
    /// Its arbitration disks: none, one or three.
    pub arbitration: Vec<ArbitrationDisk>,
    /// The highest id that a node has or had: a new one has a higher one, for what the old one wrote on disks is not its own
    /// (safety 1.6). Zero where no more is known than the nodes.
    pub highest: u16,
    /// A node that no watchdog guards gets no more gates of its containers, so that none falls to grade D (design section 6, F52). What is up
    /// stays up.
    pub strict: bool,
    /// Its nodes.
    pub members: SmallMap<NodeId, Member>,
    /// Who counts how much, and all times.
    pub configuration: Configuration,
}

/// Why nodes cannot be a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRoster {
    /// There are none.
    Empty,
    /// This is no node id.
    Id(u16),
    /// Two nodes have this name.
    Name(Name),
    /// Two nodes are this machine, or one is none.
    Machine(NodeUuid),
    /// Two nodes have this address, or it is nobody's: unspecified, or a group's.
    Address(IpAddr),
    /// A node has another number of links than the first one, or none, or too many.
    Links {
        /// The node.
        node: NodeId,
        /// Links it has.
        has: usize,
        /// Links the first one has.
        first: usize,
    },
    /// On one network some are reached by IPv4 and some by IPv6.
    Families {
        /// Which link, from one.
        link: usize,
    },
    /// Nobody has a vote, or somebody too many.
    Votes,
    /// Generations begin with one.
    Generation,
    /// It is strict, and its watchdogs have no time.
    Strict,
    /// There are none, one or three arbitration disks; how many these are.
    Arbitration(usize),
    /// This is no path to a disk that is the same everywhere, or two have it, or two have one id.
    ArbitrationDisk(String),
    /// No such port, or none behind it.
    Port(u16),
    /// Times that cannot work.
    Timing(BadTiming),
}

impl core::fmt::Display for BadRoster {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BadRoster::Empty => write!(f, "no node is named"),
            BadRoster::Id(id) => write!(f, "{id} is no node id: they go from 1 to {NODE_ID_MAX}"),
            BadRoster::Name(name) => write!(f, "two nodes are called {name}"),
            BadRoster::Machine(uuid) if uuid.is_none() => write!(f, "a node has no machine UUID"),
            BadRoster::Machine(uuid) => write!(f, "two nodes are the machine {uuid}"),
            BadRoster::Address(address) => {
                write!(f, "{address} is the address of two nodes, or can be nobody's")
            }
            BadRoster::Links { node, has, first } => write!(
                f,
                "node {node} has {has} links and the first node {first}; all have the same number, 1 to {LINKS_MAX}, \
                 the first of one reaching the first of another"
            ),
            BadRoster::Families { link } => {
                write!(f, "link {link} has addresses of IPv4 and of IPv6; on one network all have the same")
            }
            BadRoster::Votes => write!(f, "no node has a vote, or one has more than the limit"),
            BadRoster::Strict => write!(
                f,
                "strict = true with a watchdog of 0 ms lets nobody have anything; give timing.watchdog its milliseconds, or take strict out"
            ),
            BadRoster::Generation => write!(f, "generation 0 is none; they begin with 1"),
            BadRoster::Arbitration(count) => {
                write!(f, "{count} arbitration disks are named; there are none, one, or three")
            }
            BadRoster::ArbitrationDisk(path) => write!(
                f,
                "the arbitration disk '{}' is no path from the root on, or is named twice, or has the id of another",
                path.escape_debug()
            ),
            BadRoster::Port(port) => {
                write!(f, "port {port} cannot be used: it and the one behind it must exist")
            }
            BadRoster::Timing(bad) => write!(f, "{bad}"),
        }
    }
}

/// Can no node be reached by it? An address of one link in IPv6 says nothing without the interface, which is no address's.
fn is_nobodys(address: &IpAddr) -> bool {
    let never = address.is_unspecified() || address.is_multicast();
    never
        || match address {
            IpAddr::V4(four) => four.is_broadcast(),
            IpAddr::V6(six) => six.is_unicast_link_local() || six.to_ipv4_mapped().is_some(),
        }
}

impl Roster {
    /// Is it a cluster that can work?
    pub fn check(&self) -> Result<(), BadRoster> {
        let configuration = &self.configuration;
        if self.port == 0 || self.port == u16::MAX {
            return Err(BadRoster::Port(self.port));
        }
        if configuration.generation == 0 {
            return Err(BadRoster::Generation);
        }
        if self.strict && configuration.timing.watchdog_ms == 0 {
            return Err(BadRoster::Strict);
        }
        self.check_arbitration()?;
        if let Some(id) = self.members.keys().find(|id| !(1..=NODE_ID_MAX).contains(&id.0)) {
            return Err(BadRoster::Id(id.0));
        }
        let first = self.members.values().next().ok_or(BadRoster::Empty)?.links.len();
        for (node, member) in &self.members {
            let has = member.links.len();
            if has != first || !(1..=LINKS_MAX).contains(&has) {
                return Err(BadRoster::Links { node: *node, has, first });
            }
        }
        self.check_addresses(first)?;
        let twice =
            |names: &[&Name]| names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
        let mut names = self.members.values().map(|member| &member.name).collect::<Vec<_>>();
        sort(&mut names);
        if let Some(name) = twice(&names) {
            return Err(BadRoster::Name(name));
        }
        let mut machines = configuration.nodes.values().map(|voter| voter.uuid).collect::<Vec<_>>();
        sort(&mut machines);
        let same = machines.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        if let Some(uuid) = same.or(machines.first().copied().filter(|uuid| uuid.is_none())) {
            return Err(BadRoster::Machine(uuid));
        }
        let votes_max = crate::cluster::configuration::VOTES_MAX;
        if configuration.votes_of_all() == 0
            || configuration.nodes.values().any(|voter| voter.votes > votes_max)
        {
            return Err(BadRoster::Votes);
        }
        configuration.timing.check().map_err(BadRoster::Timing)
    }

    fn check_arbitration(&self) -> Result<(), BadRoster> {
        let disks = &self.arbitration;
        if ![0, 1, 3].contains(&disks.len()) {
            return Err(BadRoster::Arbitration(disks.len()));
        }
        let is_path = |path: &str| {
            path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.chars().any(char::is_control)
        };
        let bad = disks.iter().enumerate().find(|(place, disk)| {
            let twice = disks.iter().take(*place).any(|other| other.path == disk.path || other.id == disk.id);
            twice || disk.id.is_none() || !is_path(&disk.path)
        });
        bad.map_or(Ok(()), |(_, disk)| Err(BadRoster::ArbitrationDisk(disk.path.clone())))
    }

    fn check_addresses(&self, links: usize) -> Result<(), BadRoster> {
        let mut all = self.members.values().flat_map(|member| &member.links).copied().collect::<Vec<_>>();
        sort(&mut all);
        let same = all.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let nobodys = all.iter().copied().find(is_nobodys);
        if let Some(address) = same.or(nobodys) {
            return Err(BadRoster::Address(address));
        }
        let families = |link: usize| {
            let of_link = self.members.values().filter_map(move |member| member.links.get(link));
            let six = of_link.clone().filter(|address| address.is_ipv6()).count();
            six == 0 || six == of_link.count()
        };
        match (0..links).find(|link| !families(*link)) {
            Some(link) => Err(BadRoster::Families { link: link + 1 }),
            None => Ok(()),
        }
    }

    /// The hash of all of it that nodes of one generation have in common. Not of `highest`: nodes that were forced to one file
    /// remember what each of them lived through, and would refuse each other for ever. Each goes on by the highest that it
    /// heard of ([`Roster::following`]), and who remembers more says no to an id that was another's (`accord::may_follow`).
    pub fn hash(&self) -> Hash128 {
        // What cannot be written has no hash; all of it can.
        Hash128::of(&[self.without_memory().to_text().as_bytes()])
    }

    /// Is it the same, whatever ids either of them remembers?
    pub fn says_same(&self, other: &Roster) -> bool {
        self.without_memory() == other.without_memory()
    }

    fn without_memory(&self) -> Roster {
        Roster { highest: 0, ..self.clone() }
    }

    /// The highest id that a node has or had.
    pub fn highest(&self) -> NodeId {
        let there = self.members.keys().next_back().map_or(0, |node| node.0);
        NodeId(self.highest.max(there))
    }

    /// The same, remembering the ids of those who were in the cluster before.
    pub fn following(mut self, before: &Roster) -> Roster {
        let highest = before.highest();
        if self.highest() < highest {
            self.highest = highest.0;
        }
        self
    }

    /// The node that is this machine.
    pub fn node_of(&self, machine: NodeUuid) -> Option<NodeId> {
        let found = self.configuration.nodes.iter().find(|(_, voter)| voter.uuid == machine);
        found.map(|(node, _)| *node)
    }

    /// The node of this name.
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        self.members.iter().find(|(_, member)| member.name.as_str() == name).map(|(node, _)| *node)
    }

    /// A node's name; its number when it has none.
    pub fn name_of(&self, node: NodeId) -> String {
        self.members.get(&node).map_or_else(|| node.to_string(), |member| member.name.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
cluster = \"prod\"
id = \"11111111-1111-4111-8111-111111111111\"
generation = 3

[timing]
beat = 200

[[node]]
id = 1
name = \"n1\"
machine = \"22222222-2222-4222-8222-222222222222\"
links = [\"10.0.0.1\", \"fd00::1\"]

[[node]]
id = 7
name = \"n7\"
machine = \"33333333-3333-4333-8333-333333333333\"
links = [\"10.0.0.7\", \"fd00::7\"]
votes = 2
";

    #[test]
    fn a_text_is_read_and_written_again_the_same() {
        let roster = Roster::parse(TEXT).unwrap();
        assert_eq!(roster.check(), Ok(()));
        assert_eq!((roster.port, roster.configuration.generation), (PORT_DEFAULT, 3));
        assert_eq!((roster.configuration.timing.beat_ms, roster.configuration.timing.window_ms), (200, 1000));
        assert_eq!(roster.node_named("n7"), Some(NodeId(7)));
        assert_eq!(roster.configuration.votes_of_all(), 3);
        assert_eq!(roster.members.get(&NodeId(7)).unwrap().links[1], "fd00::7".parse::<IpAddr>().unwrap());
        let disk = ArbitrationDisk { path: "/dev/disk/by-id/a \"b\"".into(), id: DiskId([7; 16]) };
        let roster = Roster { arbitration: vec![disk], strict: true, ..roster };
        let again = Roster::parse(&roster.to_text()).unwrap();
        assert_eq!(again.configuration.arbitration_disks, 1);
        let roster = Roster { configuration: again.configuration.clone(), ..roster };
        assert_eq!(again, roster);
        assert_eq!(again.hash(), roster.hash());
    }

    /// Two that were forced to one file, one of which had slept while another node came and went.
    #[test]
    fn who_remembers_other_ids_says_the_same_and_who_says_something_else_does_not() {
        let roster = Roster::parse(TEXT).unwrap();
        let remembers = Roster { highest: 9, ..roster.clone() };
        assert_ne!(remembers, roster);
        assert!(remembers.says_same(&roster));
        assert_eq!(remembers.hash(), roster.hash());
        assert_eq!(roster.clone().following(&remembers).highest(), NodeId(9));
        assert_eq!(remembers.clone().following(&roster).highest(), NodeId(9), "the highest of both");
        assert!(!roster.strict, "who says nothing of it starts whatever guards it");
        let strict = Roster { strict: true, ..roster.clone() };
        assert!(!strict.says_same(&roster), "all nodes go by it");
        assert_eq!(strict.check(), Ok(()));
        let mut unwatched = strict.clone();
        unwatched.configuration.timing.watchdog_ms = 0;
        assert_eq!(unwatched.check(), Err(BadRoster::Strict));
        let other = Roster { port: 5600, ..remembers.clone() };
        assert!(!other.says_same(&remembers));
        assert_ne!(other.hash(), remembers.hash());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let told = |from: &str, to: &str| {
            assert!(TEXT.contains(from));
            Roster::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string()
        };
        assert!(told("generation = 3", "generation = \"x\"").starts_with("line 3:"));
        assert!(told("beat = 200", "beet = 200").contains("beet"));
        assert!(told("name = \"n7\"", "name = \"n 7\"").starts_with("line 16:"));
        assert!(told("10.0.0.7", "10.0.0.777").starts_with("line 18:"));
        assert!(told("machine = \"2", "machine = \"x").starts_with("line 11:"));
        assert!(told("id = 7\n", "").contains("id"));
        assert!(told("id = 7\n", "id = 1\n").contains("twice"));
        assert!(told("[[node]]\nid = 1", "[[node]\nid = 1").starts_with("line 8:"));
    }

    #[test]
    fn nodes_that_cannot_be_a_cluster_are_refused() {
        let told = |from: &str, to: &str| {
            assert!(TEXT.contains(from));
            Roster::parse(&TEXT.replacen(from, to, 1)).unwrap().check().unwrap_err()
        };
        assert_eq!(told("id = 7", "id = 65"), BadRoster::Id(65));
        assert_eq!(told("\"n7\"", "\"n1\""), BadRoster::Name(Name::parse("n1").unwrap()));
        assert!(matches!(
            told("33333333-3333-4333-8333-333333333333", "22222222-2222-4222-8222-222222222222"),
            BadRoster::Machine(_)
        ));
        assert!(matches!(told("10.0.0.7", "10.0.0.1"), BadRoster::Address(_)));
        assert!(matches!(told("10.0.0.7", "0.0.0.0"), BadRoster::Address(_)));
        assert!(matches!(told("fd00::7", "fe80::7"), BadRoster::Address(_)));
        assert_eq!(told("generation = 3", "generation = 0"), BadRoster::Generation);
        assert!(matches!(told("beat = 200", "lease = 9223372036854775000"), BadRoster::Timing(_)));
        assert!(matches!(told(", \"fd00::7\"", ""), BadRoster::Links { has: 1, first: 2, .. }));
        assert_eq!(told("fd00::7", "10.1.0.7"), BadRoster::Families { link: 2 });
        assert_eq!(told("votes = 2", "votes = 101"), BadRoster::Votes);
        let disk = |path: &str, id: u8| {
            format!("[[arbitration]]\ndisk = \"{path}\"\nid = \"{id}1111111-1111-4111-8111-111111111111\"\n")
        };
        let with = |disks: &[String]| told("[timing]", &[&disks.concat(), "[timing]"].concat());
        assert_eq!(with(&[disk("/dev/a", 1), disk("/dev/b", 2)]), BadRoster::Arbitration(2));
        for disks in [
            [disk("/dev/a", 1), disk("/dev/b", 2), disk("/dev/a", 3)],
            [disk("/dev/a", 1), disk("/dev/b", 2), disk("/dev/c", 2)],
            [disk("/dev/a", 1), disk("/dev/b", 2), disk("sdc", 3)],
        ] {
            assert!(matches!(with(&disks), BadRoster::ArbitrationDisk(_)));
        }
        assert!(matches!(told("beat = 200", "beat = 800"), BadRoster::Timing(_)));
    }
}
