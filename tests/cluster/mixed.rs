//! Programs of other versions among the daemons (F29). One of the nodes is this test: the product's own membership and
//! messages, under another range of versions and with more to say than this version knows.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evms::base::dice::Dice;
use evms::base::id::{Incarnation, NodeId};
use evms::cluster::beat::Beat;
use evms::cluster::channel::{Channel, Common, Dropped, Heard, Myself};
use evms::cluster::keys::{ClusterKey, Purpose};
use evms::cluster::membership::{Change, Membership};
use evms::cluster::mistake::Rules;
use evms::cluster::parts::{Joining, split};
use evms::cluster::roster::Roster;
use evms::engine::manager::{ClusterManager, Told};
use evms::engine::post::Post;
use evms::format::control::{Reply, Request};
use evms::format::greeting::VERSIONS;
use evms::format::letter::Letter;
use evms::host::clock;

use crate::Case;
use crate::fabric::datagram;
use crate::lab::{Lab, Node, PATIENCE, PORT, configuration, key};

pub const CASES: &[Case] = &[
    ("f29_nodes_one_version_apart_work_together", f29_neighbours),
    ("f29_versions_with_nothing_in_common_are_refused_by_name", f29_strangers),
];

/// Which place of the lab this test is.
const PLACE: usize = 2;
const ME: NodeId = NodeId(PLACE as u16 + 1);
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// How long a turn waits for a beat.
const TURN: Duration = Duration::from_millis(5);
/// How long who is refused goes on.
const REFUSED: Duration = Duration::from_secs(3);

/// A message: of whom, and what.
type Said = (NodeId, Vec<u8>);

/// A node of the lab whose program speaks other versions.
struct Other {
    roster: Roster,
    versions: (u8, u8),
    channel: Channel,
    membership: Membership,
    post: Post,
    /// Of beats, and of messages.
    sockets: [UdpSocket; 2],
    joining: BTreeMap<NodeId, Joining>,
    beats: u32,
}

fn channel(roster: &Roster, me: &Myself, versions: (u8, u8), purpose: Purpose) -> Channel {
    let voters = &roster.configuration.nodes;
    let common = Common {
        cluster: roster.configuration.cluster,
        machines: voters.iter().map(|(node, voter)| (*node, voter.uuid)).collect(),
        generation: roster.configuration.generation,
        configuration: roster.hash(),
        versions,
        window_ms: roster.configuration.timing.window_ms,
    };
    let keys = ClusterKey::parse_file(&key(7)).unwrap();
    let dice = Dice::from_number(clock::boot_micros().us);
    Channel::new(me.clone(), common, &keys, purpose, dice, clock::boot_now()).unwrap()
}

impl Other {
    fn new(lab: &Lab, versions: (u8, u8)) -> Other {
        let roster = Roster::parse(&configuration(lab.nodes.len(), 1)).unwrap();
        let (now, incarnation) = (clock::boot_now(), Incarnation([0x29; 16]));
        let configuration = roster.configuration.clone();
        let machine = configuration.nodes.get(&ME).unwrap().uuid;
        let membership = Membership::start(configuration, ME, incarnation, Rules::ALL, now);
        let me = Myself { node: ME, machine, incarnation, session: membership.session() };
        let names = roster.members.iter().map(|(node, member)| (*node, member.name.clone())).collect();
        let letters = channel(&roster, &me, versions, Purpose::Letters);
        let address = roster.members.get(&ME).unwrap().links[0].to_string();
        let bind = |port: u16| UdpSocket::bind((&*address, port)).unwrap();
        let sockets = lab.nodes[PLACE].inside(|| [PORT, PORT + 1].map(bind));
        sockets[0].set_read_timeout(Some(TURN)).unwrap();
        sockets[1].set_nonblocking(true).unwrap();
        Other {
            channel: channel(&roster, &me, versions, Purpose::Beats),
            post: Post::new(ME, names, 1, letters),
            roster,
            versions,
            membership,
            sockets,
            joining: BTreeMap::new(),
            beats: 0,
        }
    }

    /// Everything that is to be done now; what other nodes said to this one in messages.
    fn turn(&mut self) -> Vec<Said> {
        self.listen();
        let now = clock::boot_now();
        self.membership.stamp(now);
        self.membership.tick(now);
        while let Some(change) = self.membership.change() {
            if let Change::Installed(view) = change {
                self.post.view(clock::boot_micros(), Some(&view), true);
            }
        }
        self.speak();
        std::iter::from_fn(|| self.post.told())
            .filter_map(|told| if let Told::Message(from, bytes) = told { Some((from, bytes)) } else { None })
            .collect()
    }

    fn listen(&mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        if let Ok((bytes, _)) = self.sockets[0].recv_from(&mut buffer) {
            self.hear(&buffer[..bytes]);
        }
        while let Ok((bytes, _)) = self.sockets[1].recv_from(&mut buffer) {
            let _ = self.post.hear(clock::boot_micros(), 0, &buffer[..bytes]);
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let now = clock::boot_now();
        if let Ok(Heard::ToAll(node, _, part)) = self.channel.hear(now, bytes) {
            let whole = self.joining.entry(node).or_default().take(&part);
            if let Some(beat) = whole.and_then(|bytes| Beat::decode(&bytes)) {
                self.membership.hear(now, &Arc::new(beat));
            }
        }
    }

    fn speak(&mut self) {
        let now = clock::boot_now();
        if let Some(beat) = self.membership.beat(now) {
            self.beats += 1;
            // A newer program says which versions it speaks, and more than this one knows.
            let fields = &beat.encode()[2..];
            let bytes = [&[self.versions.0, self.versions.1], fields, b"and what is new"].concat();
            for part in split(self.beats, &bytes) {
                let datagram = self.channel.to_all(&part).unwrap();
                self.roster.members.keys().for_each(|node| self.send(0, *node, &datagram));
            }
        }
        while let Some((node, datagram)) = self.channel.greeting(now) {
            self.send(0, node, &datagram);
        }
        while let Some(datagram) = self.post.outgoing(clock::boot_micros()) {
            self.send(1, datagram.node, &datagram.bytes);
        }
    }

    fn send(&self, which: usize, node: NodeId, datagram: &[u8]) {
        if node != ME {
            let to = SocketAddr::new(self.roster.members.get(&node).unwrap().links[0], PORT + which as u16);
            let _ = self.sockets[which].send_to(datagram, to);
        }
    }

    /// Turns until this is so; what was said in messages meanwhile.
    fn until(&mut self, lab: &Lab, is_so: impl Fn(&Other, &[Said]) -> bool) -> Vec<Said> {
        let (begin, mut said) = (Instant::now(), Vec::new());
        while !is_so(self, &said) {
            said.extend(self.turn());
            assert!(begin.elapsed() < PATIENCE, "{said:?}\n{}", lab.logs());
        }
        said
    }
}

/// The others' daemons, running.
fn others(lab: &mut Lab) -> [usize; 2] {
    lab.nodes[..PLACE].iter_mut().for_each(Node::start);
    [0, 1]
}

/// It is a member like any other, and what it says that nobody knows yet is answered as unknown.
fn f29_neighbours() {
    let mut lab = Lab::new("mixed", 3, 1);
    let daemons = others(&mut lab);
    let mut other = Other::new(&lab, (VERSIONS.0, VERSIONS.1 + 1));
    let all = |lab: &Lab| {
        let is = |place: &usize| {
            lab.nodes[*place].status().is_some_and(|status| {
                status.quorum.quorate && status.view.is_some_and(|view| view.members.len() == 3)
            })
        };
        daemons.iter().all(is)
    };
    other.until(&lab, |other, _| {
        other.membership.quorate(clock::boot_now()).is_some_and(|(view, _)| {
            other.membership.view().is_some_and(|mine| mine.number == view && mine.members.len() == 3)
        }) && all(&lab)
    });
    let versions = other.channel.session(NodeId(1)).map(|session| session.version);
    assert_eq!(versions, Some(VERSIONS.1), "what both know");
    // A question of a later version, one of a kind that is not known, and one that is.
    let ask = Letter::Ask(7, Request::Status).encode();
    let newer = [&[VERSIONS.1 + 1], &ask[1..]].concat();
    for message in [newer, vec![1, 99], ask] {
        other.post.send(NodeId(1), message).unwrap();
    }
    let said = other.until(&lab, |_, said| said.len() == 3);
    let said = said.iter().map(|(from, bytes)| (*from, Letter::decode(bytes))).collect::<Vec<_>>();
    assert_eq!(said[..2], [(NodeId(1), Some(Letter::Unknown)), (NodeId(1), Some(Letter::Unknown))]);
    let Some(Letter::Answer(7, reply)) = &said[2].1 else { panic!("{said:?}") };
    assert!(matches!(&**reply, Reply::Status(status) if status.quorum.quorate), "{reply:?}");
}

/// It is told why, on both sides, and the others are as they were. So are they with frames of which nothing is known.
fn f29_strangers() {
    let mut lab = Lab::new("versions", 3, 1);
    let daemons = others(&mut lab);
    let (_, view) = lab.agree(&daemons, true);
    let views = daemons.map(|place| lab.views(place));
    let mut other = Other::new(&lab, (VERSIONS.1 + 1, VERSIONS.1 + 2));
    let begin = Instant::now();
    other.until(&lab, |_, _| begin.elapsed() > REFUSED);
    for place in daemons {
        let traffic = lab.nodes[place].status().unwrap().traffic;
        let wanted = "n3 speaks versions 2 to 3 and this program 1 to 1";
        assert!(traffic.last.contains(wanted) && traffic.refused > 0, "{traffic:?}");
    }
    let refused = other.channel.counts().last.clone().map(|(dropped, _)| dropped);
    assert!(matches!(refused, Some(Dropped::OtherVersions(_, VERSIONS))), "{refused:?}");
    assert!(other.channel.known().is_empty() && other.membership.quorate(clock::boot_now()).is_none());
    let before = lab.nodes[0].status().unwrap().traffic.no_frame;
    let mut frame = other.channel.to_all(b"of another version").unwrap();
    // The byte behind the magic is the version of frames.
    frame[4] += 1;
    lab.plan().inject(0, datagram(PLACE, 0, PORT, &frame));
    let told = |lab: &Lab| {
        let traffic = lab.nodes[0].status().map(|status| status.traffic);
        traffic.is_some_and(|traffic| {
            traffic.no_frame > before && traffic.last.contains("a node speaks version 2 of frames")
        })
    };
    // The other is silent by now: what was told last stays told.
    lab.until(told);
    assert_eq!(lab.agree(&daemons, true).1, view, "{}", lab.logs());
    assert_eq!(daemons.map(|place| lab.views(place)), views, "{}", lab.logs());
}
