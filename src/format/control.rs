//! What `evms` and `evmsd` say to each other on `/run/evms/evmsd.sock`: frames of a length, a version and a value. Its version
//! is its own: neither that of disks nor that of the network.
//!
//! ```text
//! offset bytes what
//!      0     4 bytes behind these, little-endian
//!      4     2 version
//!      6     … the request or the reply, as postcard has it
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::epoch::{Epoch, Order};
use crate::base::failure::Kind;
use crate::base::id::{ClusterId, ContainerId, DiskId, Incarnation, NodeId, NodeUuid};
use crate::base::name::Name;
use crate::base::units::Sectors;
use crate::format::cursor::{Reader, Writer};

/// The version that this program speaks.
pub const VERSION: u16 = 1;
/// Bytes of one frame at most, its length not counted: the status of 64 nodes needs a tenth of it.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one question at most: a daemon keeps no more for who has not said who he is.
pub const QUESTION_BYTES_MAX: usize = 24 * 1024;
/// Bytes of a length.
pub const LENGTH_BYTES: usize = 4;

/// What is asked of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How the cluster is.
    Status,
    /// The same, again whenever something changed, and once a second.
    Watch,
    /// Leave in good order, and end.
    Leave,
    /// Send a message to a node and back, and measure.
    Ping {
        /// The node's name.
        node: String,
        /// Bytes of the message.
        bytes: u32,
        /// How often.
        count: u32,
        /// How many under way at one time.
        at_once: u32,
    },
    /// The text of the configuration that this node goes by.
    Configuration,
    /// Have this text agreed on as the next configuration.
    Propose(String),
    /// Between daemons: promise nothing lower about this generation, and say what was accepted.
    Prepare {
        /// The generation that is to be decided.
        generation: u64,
        /// The ballot.
        ballot: u64,
    },
    /// Between daemons: accept this text in this ballot.
    Accept {
        /// The ballot.
        ballot: u64,
        /// The configuration.
        text: String,
    },
    /// Between daemons: this text was decided.
    Adopt(String),
    /// As whom a command of the daemon's machine may act for the cluster.
    Warrant,
    /// Have gates kept that a command of the daemon's machine made, and open them.
    OpenGates(OpenGates),
    /// The gates that are kept, and by whom.
    Gates,
    /// Have the watchdog armed, before gates are made; how soon it bites.
    Watchdog,
    /// The fence agents of the node, and what they said last.
    Agents,
    /// Close the gates of a container that an administrator suspends by this commit, and keep them closed; without one: may that be?
    Suspend(ContainerId, Option<Order>),
    /// By this commit he lets it go on.
    Resume(ContainerId, Order),
    /// Read these disks of a container: it is to be given to the node.
    Sees(ContainerId, Vec<DiskId>),
}

/// Gates of one container that are made and not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGates {
    /// The container.
    pub container: ContainerId,
    /// The epoch of its model, by which they were made.
    pub epoch: Epoch,
    /// The term of the lease in which that was read.
    pub term: u64,
    /// They are open only where a watchdog bites after so many milliseconds or sooner, as their container says; zero where it says
    /// none.
    pub watchdog_ms: u32,
    /// Device-mapper names, each with its length.
    pub gates: Vec<(String, Sectors)>,
}

/// What stands in a frame: what is asked, and of which node's daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// A node's name; empty is this one.
    pub node: String,
    /// What.
    pub request: Request,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// How the cluster is.
    Status(Box<Status>),
    /// It is done, in one sentence.
    Done(String),
    /// What was measured.
    Pinged(PingLine),
    /// It is refused: of what kind, and why in one sentence.
    Refused(Refusal, String),
    /// The text of a configuration.
    Configuration(String),
    /// Between daemons: promised in this ballot; what was accepted before, and in which one.
    Promised(u64, Option<(u64, String)>),
    /// Between daemons: accepted in this ballot.
    Accepted(u64),
    /// Between daemons: not so, this ballot was promised.
    Outbid(u64),
    /// As this node, for as long as the lease in `/run/evms/lease` lasts.
    Warrant(WarrantLine),
    /// The gates.
    Gates(GatesLine),
    /// The watchdog that is armed bites after so many milliseconds; zero where there is none.
    Watchdog(u32),
    /// The fence agents.
    Agents(Vec<AgentLine>),
}

/// A fence agent that a node may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLine {
    /// Whose power it cuts.
    pub node: String,
    /// The program.
    pub agent: String,
    /// Milliseconds that all of its tries take at most.
    pub limit_ms: u64,
    /// What the last call of that node's agents came to in this boot; empty when there was none.
    pub said: String,
}

/// The gates of a node, and what closes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatesLine {
    /// Does the node's lease last?
    pub quorate: bool,
    /// The view by which it is quorate, or was last; empty when it never was.
    pub view: String,
    /// Is there a keeper?
    pub keeper: bool,
    /// Milliseconds after which its watchdog bites; 0 without one.
    pub watchdog_ms: u64,
    /// Was one armed that its keeper has not any more?
    pub watchdog_lost: bool,
    /// All that are kept.
    pub gates: Vec<GateLine>,
    /// How the disks under them take this node's beats.
    pub beats: Vec<BeatLine>,
}

/// How a disk takes beats. Milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatLine {
    /// The disk, as its node calls it.
    pub disk: String,
    /// The container whose it is.
    pub container: ContainerId,
    /// Since its last beat was written; nothing before the first.
    pub since_ms: Option<u64>,
    /// That one took so long.
    pub took_ms: u64,
    /// And one at most.
    pub worst_ms: u64,
    /// For so long one is under way.
    pub waits_ms: u64,
}

/// A gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLine {
    /// Its device-mapper name.
    pub name: String,
    /// Its container.
    pub container: ContainerId,
    /// The epoch that it was opened under last.
    pub epoch: Epoch,
    /// `open`, `draining`, `closed`, `gone`, `refused`, `unknown`.
    pub state: String,
    /// Milliseconds since then.
    pub since_ms: u64,
    /// How often it was closed.
    pub closed: u64,
    /// All that keeps it from being open; empty when it is.
    pub reasons: Vec<Reason>,
    /// The same in words.
    pub why: String,
}

/// What keeps a gate closed. One of them is enough, and it opens when there is none (safety 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An administrator suspended its container.
    Administrator,
    /// The node is not quorate.
    Quorum,
    /// Its container's disks were not read since the node is quorate again.
    Epoch,
    /// A watchdog was promised, and there is none.
    Watchdog,
    /// It is being taken away.
    Leaving,
    /// The kernel refuses.
    Kernel,
}

/// As whom a command of a node's machine may act for its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarrantLine {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: String,
    /// The node's number.
    pub node: NodeId,
    /// The generation of the configuration that it goes by.
    pub generation: u64,
    /// The life of it.
    pub incarnation: Incarnation,
    /// All nodes, by name, and which machine each is.
    pub nodes: Vec<(Name, NodeUuid)>,
    /// Does a node without a watchdog get no gates?
    pub strict: bool,
    /// Milliseconds for which a record must have stood still before its writer is taken for gone (T_take).
    pub take_ms: u64,
    /// Who of them is not in the view.
    pub absent: AbsentLine,
}

/// Nodes that are not in a view by which this one is quorate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentLine {
    /// The term of the lease in which that is so.
    pub term: u64,
    /// Milliseconds of boot time at which the term began.
    pub since_ms: u64,
    /// Their machines.
    pub machines: Vec<NodeUuid>,
    /// Milliseconds for which a write may be under way.
    pub drain_ms: u64,
    /// Parts in a million by which clocks may be wrong.
    pub drift_ppm: u32,
}

/// Messages to a node and back, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingLine {
    /// How many.
    pub rounds: u64,
    /// The shortest.
    pub least_ns: u64,
    /// Half were shorter.
    pub median_ns: u64,
    /// All but one of a hundred were.
    pub p99_ns: u64,
    /// The longest.
    pub most_ns: u64,
    /// All together, side by side.
    pub all_ns: u64,
}

/// The kind of a refusal, as it goes over the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// For a reason that has no kind of its own.
    Refused,
    /// The request is not known.
    Unknown,
    /// There is no such node.
    NotFound,
    /// Not quorate.
    NotQuorate,
    /// A node cannot be reached.
    NotReachable,
    /// What a newer commit said stands.
    Newer,
    /// The node does not see what it would have to.
    Unseen,
}

impl From<Refusal> for Kind {
    fn from(refusal: Refusal) -> Kind {
        match refusal {
            Refusal::Refused | Refusal::Unknown | Refusal::Newer | Refusal::Unseen => Kind::Refused,
            Refusal::NotFound => Kind::NotFound,
            Refusal::NotQuorate => Kind::NotOwner,
            Refusal::NotReachable => Kind::NoDaemon,
        }
    }
}

/// How a cluster is, as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// Its id.
    pub cluster_id: String,
    /// The generation of its configuration.
    pub generation: u64,
    /// The node that says this.
    pub node: String,
    /// Milliseconds since its daemon began.
    pub up_ms: u64,
    /// The view that counts, if any.
    pub view: Option<ViewLine>,
    /// May this node act?
    pub quorum: QuorumLine,
    /// All nodes, by id.
    pub nodes: Vec<NodeLine>,
    /// The last view changes, the newest first.
    pub changes: Vec<ChangeLine>,
    /// What came over the network.
    pub traffic: TrafficLine,
    /// The disks that decide ties.
    pub arbitration: Vec<DiskLine>,
}

/// An arbitration disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLine {
    /// Where it is.
    pub path: String,
    /// Was it read within a disk lease?
    pub answers: bool,
    /// Milliseconds since it was read; nothing when it never was.
    pub read_ms: Option<u64>,
    /// Milliseconds for which what was asked of it last has had no answer; nothing when nothing is under way.
    pub asked_ms: Option<u64>,
    /// Why it did not do what was asked, in one sentence; empty when it did.
    pub trouble: String,
}

/// A view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewLine {
    /// Its number.
    pub number: String,
    /// Names of its members.
    pub members: Vec<String>,
    /// Milliseconds since it counts.
    pub since_ms: u64,
}

/// Quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumLine {
    /// Is it quorate?
    pub quorate: bool,
    /// Milliseconds for which it is, if nothing is heard any more.
    pub lease_ms: u64,
    /// Votes of the view.
    pub votes: u32,
    /// Votes that are needed.
    pub needed: u32,
    /// Votes of all nodes.
    pub all: u32,
    /// Why it is so, and what would change it, in one sentence.
    pub why: String,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLine {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u16,
    /// How much it counts.
    pub votes: u16,
    /// Its machine.
    pub machine: String,
    /// `here`, `member`, `joining`, `excluded`, `left`, `silent`, `unknown`.
    pub state: String,
    /// Milliseconds since it was heard; nothing when it never was.
    pub heard_ms: Option<u64>,
    /// Its boot, the first eight digits; empty when none is known.
    pub incarnation: String,
    /// The life of its daemon; zero when none is known.
    pub session: u64,
    /// Members that do not hear it.
    pub suspected_by: Vec<String>,
    /// Paths to it.
    pub links: Vec<LinkLine>,
}

/// A path to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkLine {
    /// Its address there.
    pub address: String,
    /// Is anything heard on it?
    pub up: bool,
    /// Of a thousand beats how many were lost lately.
    pub lost_per_mille: u64,
    /// Microseconds to there and back; nothing when it was not measured.
    pub round_trip_us: Option<u64>,
    /// Do messages go by it?
    pub in_use: bool,
    /// Bytes that a datagram may have on it; zero when it was not measured.
    pub datagram_bytes: u32,
}

/// A change of the view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// The view that came.
    pub view: String,
    /// Its members.
    pub members: Vec<String>,
    /// When, by the wall clock, for people: seconds since 1970.
    pub at_seconds: u64,
    /// Milliseconds since then.
    pub ago_ms: u64,
    /// Why, in words.
    pub why: String,
}

/// What came over the network and was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficLine {
    /// Datagrams that were taken.
    pub taken: u64,
    /// No frames, or of other versions.
    pub no_frame: u64,
    /// Of other clusters.
    pub foreign: u64,
    /// Sealed by keys that are not known here.
    pub unknown_key: u64,
    /// Forged or damaged.
    pub bad_seal: u64,
    /// Refused: no node, another machine, a copy, another configuration.
    pub refused: u64,
    /// The last reason that somebody should know of, in one sentence; empty when there is none.
    pub last: String,
}

/// Why bytes are no frame of this socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// Longer than any.
    TooLong(usize),
    /// Of another version.
    Version(u16),
    /// Not a value that is known.
    Value,
}

/// A frame with this value.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    // There is no value of these types that postcard cannot write.
    let value = postcard::to_allocvec(value).unwrap_or_default();
    let mut writer = Writer::new();
    let length = u32::try_from(value.len() + 2).unwrap_or(u32::MAX);
    writer.u32(length).u16(VERSION).bytes(&value);
    writer.finish()
}

/// How many bytes stand behind a length.
pub fn length_of(head: [u8; LENGTH_BYTES]) -> Result<usize, BadFrame> {
    let length = u32::from_le_bytes(head) as usize;
    if length > FRAME_BYTES_MAX { Err(BadFrame::TooLong(length)) } else { Ok(length) }
}

/// The value of a frame, its length taken off.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadFrame> {
    let mut reader = Reader::new(body);
    let version = reader.u16().ok_or(BadFrame::Value)?;
    if version != VERSION {
        return Err(BadFrame::Version(version));
    }
    postcard::from_bytes(reader.rest()).map_err(|_| BadFrame::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let question = Question { node: "n2".into(), request: Request::Watch };
        let frame = encode(&question);
        assert_eq!(frame, [6, 0, 0, 0, 1, 0, 2, b'n', b'2', 1]);
        let (head, body) = frame.split_at(LENGTH_BYTES);
        assert_eq!(length_of(head.try_into().unwrap()), Ok(body.len()));
        assert_eq!(decode(body), Ok(question));
        assert_eq!(decode::<Request>(&[2, 0, 0]), Err(BadFrame::Version(2)));
        assert_eq!(decode::<Request>(&[1, 0, 99]), Err(BadFrame::Value));
        assert_eq!(decode::<Request>(&[1]), Err(BadFrame::Value));
        assert_eq!(length_of([0, 0, 0x20, 0]), Err(BadFrame::TooLong(0x20_0000)));
    }
}
