//! How the cluster is, as this node sees it, for people and programs that ask: values of `format::control`, words where
//! words are wanted.

use crate::base::id::NodeId;
use crate::base::time::BootTime;
use crate::cluster::arbiter;
use crate::cluster::channel::{Counts, Dropped};
use crate::cluster::chronicle::Chronicle;
use crate::cluster::detector::Detector;
use crate::cluster::membership::{PeerInsight, Standing};
use crate::cluster::node_set::NodeSet;
use crate::cluster::roster::Roster;
use crate::format::control::{ChangeLine, LinkLine, NodeLine, QuorumLine, Status, TrafficLine, ViewLine};
use crate::format::frame::{self, NoFrame};
use crate::format::greeting::VERSIONS;

/// All that is known.
pub fn status(now: BootTime, me: NodeId, began: BootTime, all: (&Detector, &Roster, &Chronicle)) -> Status {
    let (detector, roster, chronicle) = all;
    let membership = detector.membership();
    let view = membership.view().map(|view| ViewLine {
        number: view.number.to_string(),
        members: names(roster, view.nodes()),
        since_ms: chronicle.since(view).map_or(0, |since| now.ms.saturating_sub(since.ms)),
    });
    let changes = chronicle.changes().map(|changed| ChangeLine {
        view: changed.view.number.to_string(),
        members: names(roster, changed.view.nodes()),
        at_seconds: changed.wall.seconds,
        ago_ms: now.ms.saturating_sub(changed.at.ms),
        why: changed.why.clone(),
    });
    Status {
        cluster: roster.name.to_string(),
        cluster_id: roster.configuration.cluster.to_string(),
        generation: roster.configuration.generation,
        node: roster.name_of(me),
        up_ms: now.ms.saturating_sub(began.ms),
        view,
        quorum: quorum(now, detector, roster),
        nodes: roster.members.keys().map(|node| node_line(now, *node, me, detector, roster)).collect(),
        changes: changes.collect(),
        traffic: traffic(detector.channel().counts(), roster),
        arbitration: Vec::new(),
    }
}

fn names(roster: &Roster, nodes: NodeSet) -> Vec<String> {
    nodes.iter().map(|node| roster.name_of(node)).collect()
}

fn list(roster: &Roster, nodes: NodeSet) -> String {
    names(roster, nodes).join(", ")
}

fn quorum(now: BootTime, detector: &Detector, roster: &Roster) -> QuorumLine {
    let membership = detector.membership();
    let (votes, needed, all) = membership.votes();
    let standing = membership.standing(now);
    let (quorate, lease_ms) = match standing {
        Standing::Quorate(ms) => (true, ms),
        _ => (false, 0),
    };
    QuorumLine { quorate, lease_ms, votes, needed, all, why: why(now, standing, detector, roster) }
}

/// Nodes that are not heard long enough to count, with since when.
fn missing(now: BootTime, detector: &Detector, roster: &Roster) -> String {
    let membership = detector.membership();
    let view = membership.view().map(|view| view.nodes()).unwrap_or_default();
    let one = |node: &NodeId| {
        let name = roster.name_of(*node);
        match membership.peer(*node, now) {
            None => Some(format!("{name} (never heard)")),
            Some(peer) if peer.left => Some(format!("{name} (left)")),
            Some(PeerInsight { rival: Some(rival), incarnation, .. }) => Some(format!(
                "{name} (heard in two boots, {} and {}: it was started anew just now, or a copy of it runs, which is to be ended)",
                incarnation.short(),
                rival.short()
            )),
            Some(peer) if !peer.heard => {
                Some(format!("{name} (silent for {} s)", now.ms.saturating_sub(peer.last.ms) / 1000))
            }
            Some(_) if view.has(*node) => None,
            Some(peer) if !peer.counts => Some(format!("{name} (heard, not for long enough yet)")),
            Some(_) => Some(format!("{name} (heard, and not agreed with; see 'evms why' there)")),
        }
    };
    let me = membership.node();
    roster.members.keys().filter(|node| **node != me).filter_map(one).collect::<Vec<_>>().join(", ")
}

fn why(now: BootTime, standing: Standing, detector: &Detector, roster: &Roster) -> String {
    let (votes, needed, all) = detector.membership().votes();
    match standing {
        Standing::Quorate(_) if detector.membership().tied().is_some() => {
            "the view has half of the votes, and the arbitration disks are held for it".into()
        }
        Standing::Quorate(_) => format!("members with {votes} of {all} votes echo this node, {needed} are needed"),
        Standing::Leaving => "this node leaves".into(),
        Standing::Outdated(nodes) => outdated_words(nodes, roster),
        Standing::Replaced => {
            "others know another boot of this node as the living one: a copy of this machine runs, or did; end one of them"
                .into()
        }
        Standing::Quiet(ms) => format!(
            "silent for another {ms} ms: what an earlier daemon of this machine promised is not known and has to end first"
        ),
        Standing::Doubled(other, ms) => format!(
            "others hear another boot of this node, {}, and this one is {}: either this one follows it just now, or a copy of \
             this machine runs, which is to be ended; neither counts for another {ms} ms, and longer while both are heard",
            other.short(),
            detector.membership().incarnation().short()
        ),
        Standing::Woke(ms) => format!(
            "this daemon did not run for so long that the others may have gone on without it: it hears them for another {ms} ms \
             before it is in a view again"
        ),
        Standing::Excluded(excluded) => format!(
            "left out by {}: {}; see the network between them",
            list(roster, excluded.chosen),
            excluded_words(roster, excluded.unheard, excluded.deaf)
        ),
        Standing::NoView => "in no view yet: members have to hear each other for a while first".into(),
        Standing::Agreeing(behind) if behind.is_empty() => "a view is being agreed on".into(),
        Standing::Agreeing(behind) => {
            format!("a view is being agreed on; not yet by {}", list(roster, behind))
        }
        Standing::TooFewVotes => format!(
            "the view has {votes} of {all} votes and {needed} are needed, {} more; not here: {}{}",
            needed.saturating_sub(votes),
            missing(now, detector, roster),
            half_words(detector, roster)
        ),
        Standing::Stuck => "the engine of this daemon stands; see its log, and start it anew".into(),
        Standing::Tie(arbiter, cold) => {
            let halves = format!("the view has half of the votes; not here: {}", missing(now, detector, roster));
            format!("{halves}; {}", tie_words(roster, arbiter, cold))
        }
        Standing::Promised(ms) => {
            format!("waits {ms} ms until what was promised to nodes that are gone has ended")
        }
        Standing::NotEchoed => {
            format!("members with {} votes have to echo this node, and do not yet", needed.min(votes))
        }
    }
}

/// Somebody goes, or went, by a newer configuration; nobody who is heard, where these are none.
fn outdated_words(nodes: NodeSet, roster: &Roster) -> String {
    let generation = roster.configuration.generation;
    if nodes.is_empty() {
        // An arbitration disk tells it too, of whoever bid there.
        return format!(
            "a newer configuration than this node's, {generation}, was in force: this node went by it once, or an arbitration disk \
             tells of it; who has it is asked as soon as it is heard: start evmsd there; if nobody has it any more, give \
             /etc/evms.conf a generation above it, the same on all nodes, and say on each, while evmsd does not run: evmsd force"
        );
    }
    format!(
        "{} goes by a newer configuration, this node by {generation}, and asks for it by itself; if that lasts, the log of evmsd \
         here says why",
        list(roster, nodes)
    )
}

/// Why half of the votes are not put to the arbitration disks.
fn half_words(detector: &Detector, roster: &Roster) -> &'static str {
    let (votes, _, all) = detector.membership().votes();
    let is_half = votes * 2 == all && !roster.arbitration.is_empty();
    match detector.membership().ties() {
        (_, true) if is_half => {
            "; the next configuration was accepted here, and whether it is in force is not known: the arbitration disks are not \
             asked before somebody tells; if nobody can, 'evmsd force'"
        }
        (false, _) if is_half => {
            "; this configuration was never in force here: more than half of the votes are needed once, before the arbitration \
             disks are asked"
        }
        _ => "",
    }
}

fn tie_words(roster: &Roster, arbiter: arbiter::Standing, cold: bool) -> String {
    use arbiter::Standing;
    match arbiter {
        Standing::Without => "there is no arbitration disk to decide which half goes on".into(),
        Standing::TooFewDisks => "fewer arbitration disks answer than a majority".into(),
        _ if cold => {
            "nobody here was quorate since this boot: who is not here may be, and is waited for".into()
        }
        Standing::Rests => "another member asks the arbitration disks".into(),
        Standing::Waits => "the arbitration disks are watched, to see whether the other half lives".into(),
        Standing::Lost { members, .. } => {
            format!("the arbitration disks are held by the other half: {}", list(roster, members))
        }
        Standing::Bids => "the arbitration disks are asked".into(),
        Standing::Holds { .. } => "the arbitration disks say this half; the members have to echo it".into(),
    }
}

fn excluded_words(roster: &Roster, unheard: NodeSet, deaf: NodeSet) -> String {
    let mut words = Vec::new();
    if !unheard.is_empty() {
        words.push(format!("this node does not hear {}", list(roster, unheard)));
    }
    if !deaf.is_empty() {
        words.push(format!("it is not heard by {}", list(roster, deaf)));
    }
    if words.is_empty() { "others were preferred".into() } else { words.join(", ") }
}

fn state(now: BootTime, node: NodeId, me: NodeId, detector: &Detector) -> &'static str {
    let membership = detector.membership();
    let is_member = membership.view().is_some_and(|view| view.nodes().has(node));
    match membership.peer(node, now) {
        _ if node == me => "here",
        Some(peer) if peer.left => "left",
        Some(peer) if !peer.heard => "silent",
        Some(peer) if peer.rival.is_some() => "doubled",
        _ if is_member => "member",
        Some(peer) if !peer.counts => "joining",
        Some(_) => "excluded",
        None => "unknown",
    }
}

fn node_line(now: BootTime, node: NodeId, me: NodeId, detector: &Detector, roster: &Roster) -> NodeLine {
    let membership = detector.membership();
    let voter = roster.configuration.nodes.get(&node);
    let session = detector.channel().session(node);
    let peer = membership.peer(node, now);
    let suspects = membership.view().map(|view| membership.deaf_to(node, now).and(view.nodes()));
    let mut line = NodeLine {
        name: roster.name_of(node),
        id: node.0,
        votes: voter.map_or(0, |voter| voter.votes),
        machine: voter.map(|voter| voter.uuid.to_string()).unwrap_or_default(),
        state: state(now, node, me, detector).into(),
        heard_ms: peer.map(|peer| now.ms.saturating_sub(peer.last.ms)),
        incarnation: session.map(|session| session.incarnation.short()).unwrap_or_default(),
        session: session.map_or(0, |session| session.session.0),
        suspected_by: names(roster, suspects.unwrap_or_default()),
        links: Vec::new(),
    };
    if node == me {
        line.incarnation = membership.incarnation().short();
        line.session = membership.session().0;
    } else {
        line.links = links(now, node, detector, roster);
    }
    line
}

fn links(now: BootTime, node: NodeId, detector: &Detector, roster: &Roster) -> Vec<LinkLine> {
    let window_ms = roster.configuration.timing.window_ms;
    let addresses = roster.members.get(&node).map(|member| member.links.as_slice()).unwrap_or_default();
    let one = |(address, link): (&core::net::IpAddr, crate::cluster::link::Link)| LinkLine {
        address: address.to_string(),
        up: link.is_up(now, window_ms),
        lost_per_mille: link.lost_per_mille(),
        ..LinkLine::default()
    };
    addresses.iter().zip(detector.links(node)).map(one).collect()
}

fn traffic(counts: &Counts, roster: &Roster) -> TrafficLine {
    TrafficLine {
        taken: counts.taken,
        no_frame: counts.no_frame,
        foreign: counts.foreign,
        unknown_key: counts.unknown_key,
        bad_seal: counts.bad_seal,
        refused: counts.refused,
        last: counts.last.as_ref().map(|(dropped, _)| in_words(dropped, roster)).unwrap_or_default(),
    }
}

/// Why a datagram was dropped, in one sentence that says what to do.
pub fn in_words(dropped: &Dropped, roster: &Roster) -> String {
    let name = |node: &NodeId| roster.name_of(*node);
    match dropped {
        Dropped::NoFrame(NoFrame::Version(version)) => format!(
            "a node speaks version {version} of frames on this port and this program {}; bring both to neighbouring versions",
            frame::VERSION
        ),
        Dropped::NoFrame(_) => "something that is not evms sends to this port".into(),
        Dropped::Foreign(tag) => format!(
            "nodes of another cluster, {tag}, send to this port; give the two clusters different ports or networks"
        ),
        Dropped::UnknownKey(_) => {
            "a node seals by a key that is not in /etc/evms/key here; the key files of all nodes have to be the same".into()
        }
        Dropped::Stranger(node) => {
            format!(
                "node {node} is not in the configuration and speaks to this one; if it is to be in it, say here: evmsd invite; \
                 else stop evmsd there"
            )
        }
        Dropped::BadSeal(node) => {
            format!("datagrams that say to be of {} were forged, or damaged on their way", name(node))
        }
        Dropped::Replayed(node, _) | Dropped::OtherSession(node) => {
            format!("datagrams of {} came late", name(node))
        }
        Dropped::Impostor { node, known, claimed } => format!(
            "machine {claimed} goes by the id of {}, which is machine {known}; give it an id of its own",
            name(node)
        ),
        Dropped::Twin { node, known, refused } => format!(
            "two machines go by the identity of {}: the one that runs (boot {}), and a copy that is refused (boot {}); give \
             the copy a new /etc/evms/node and a new id",
            name(node),
            known.short(),
            refused.short()
        ),
        Dropped::OtherConfiguration { node, generation, configuration } => format!(
            "{} has another configuration of the same generation {generation} (hash {}, here {}); compare /var/lib/evms/cluster there \
             and here; give /etc/evms.conf generation {} on both, the same, stop evmsd on all nodes, and say on each: evmsd force",
            name(node),
            configuration.short(),
            roster.hash().short(),
            generation.saturating_add(1)
        ),
        Dropped::OtherVersions(node, (oldest, newest)) => format!(
            "{} speaks versions {oldest} to {newest} and this program {} to {}; bring both to neighbouring versions",
            name(node),
            VERSIONS.0,
            VERSIONS.1
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/etc/evms.conf` decides nothing where something was agreed on: nobody is sent to it for what it cannot do.
    #[test]
    fn who_is_outdated_is_told_who_is_asked_and_what_is_left_to_do() {
        let text = "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = 4\n[[node]]\nid = 3\nname = \
                    \"n3\"\nmachine = \"22222222-2222-4222-8222-222222222222\"\nlinks = [\"10.0.0.3\"]\n";
        let roster = Roster::parse(text).unwrap();
        let (heard, disk) = (NodeSet::of(NodeId(3)), NodeSet::EMPTY);
        let words = outdated_words(heard, &roster);
        assert!(words.contains("n3 goes by a newer") && words.contains("asks for it by itself"), "{words}");
        assert!(!words.contains("/etc/evms.conf"), "{words}");
        let words = outdated_words(disk, &roster);
        assert!(words.contains("arbitration disk tells") && words.contains("evmsd force"), "{words}");
        assert!(!words.starts_with("this node went"), "{words}");
    }
}
