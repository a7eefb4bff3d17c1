//! What a daemon says to others is kept before it is said (safety 1.3), seen from outside: every beat on the cable is compared
//! with the state file as it stands at that moment. Each call that sends is held for a while when it is over, by strace, so
//! that what is kept too late is not there yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use evms::base::id::NodeId;
use evms::cluster::beat::Beat;
use evms::cluster::keys::{ClusterKey, Purpose, SessionTag};
use evms::cluster::membership::{Kept, Memory};
use evms::cluster::parts::Joining;
use evms::cluster::roster::Roster;
use evms::cluster::sealing::Seal;
use evms::format::frame::{HEADER_BYTES, Header, Kind};
use evms::host::run_dir;

use crate::Case;
use crate::lab::{Lab, Node, PORT, configuration, key};

pub const CASES: &[Case] = &[("what_a_beat_promises_is_kept_before_it_is_sent", order)];

/// Ethernet, IPv4, UDP.
const HEADS_BYTES: usize = 14 + 20 + 8;
/// Where the destination's port stands in a frame.
const TO_PORT: usize = 14 + 20 + 2;
/// Views that are compared: of one alone or of two first, of all, of two, of all again.
const VIEWS_LEAST: usize = 3;

/// Who reads the beats of all, and compares.
struct Reader {
    roster: Roster,
    key: ClusterKey,
    states: Vec<PathBuf>,
    tags: BTreeMap<NodeId, SessionTag>,
    joining: BTreeMap<(NodeId, SessionTag), Joining>,
    /// Beats that were compared, of which view.
    compared: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// What the next daemon would find.
fn memory(state: &Path) -> Option<Memory> {
    let (_, _, memory) = run_dir::newest(&fs::read(state).ok()?)?;
    Kept::decode(&memory).map(|kept| kept.memory)
}

impl Reader {
    fn new(lab: &Lab) -> Reader {
        Reader {
            roster: Roster::parse(&configuration(lab.nodes.len(), 1)).unwrap(),
            key: ClusterKey::parse_file(&key(7)).unwrap().remove(0),
            states: lab.nodes.iter().map(Node::state).collect(),
            tags: BTreeMap::new(),
            joining: BTreeMap::new(),
            compared: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    fn read(&mut self, frame: &[u8]) {
        let Some(datagram) = frame.get(HEADS_BYTES..) else { return };
        if frame[TO_PORT..TO_PORT + 2] != PORT.to_be_bytes() {
            return;
        }
        let Ok((header, _)) = Header::decode(datagram) else { return };
        match header.kind {
            // In clear behind the header.
            Kind::Greeting => {
                let tag = datagram[HEADER_BYTES..].first_chunk().copied();
                self.tags.extend(tag.map(|tag| (header.sender, tag)));
            }
            Kind::ToAll => self.beat(&header, datagram),
            Kind::ToOne => (),
        }
    }

    fn beat(&mut self, header: &Header, datagram: &[u8]) {
        let Some(tag) = self.tags.get(&header.sender).copied() else { return };
        let from = (header.sender, tag);
        let key = self.key.to_all(self.roster.configuration.cluster, Purpose::Beats, from);
        let Some(part) = Seal::new(key).open(header, datagram) else { return };
        let whole = self.joining.entry(from).or_default().take(&part);
        if let Some(beat) = whole.and_then(|bytes| Beat::decode(&bytes)) {
            self.compare(&beat);
        }
    }

    /// The next daemon must know the boot, the session, the promised view and how far it is with it. It may know more: a
    /// busy test looks late.
    fn compare(&mut self, beat: &Beat) {
        let kept = memory(&self.states[usize::from(beat.node.0) - 1]);
        let knows = kept.as_ref().is_some_and(|kept| {
            let stage = kept.view.as_ref().map(|(_, stage)| *stage);
            let same = (kept.incarnation, kept.session) == (beat.incarnation, beat.number.session);
            same && (kept.promised, stage) >= (beat.promised, beat.stage)
        });
        if !knows {
            self.wrong.push(format!("{beat:?} and knows {kept:?}"));
        }
        *self.compared.entry(beat.promised.to_string()).or_default() += 1;
    }

    fn found(&self) -> Found {
        (self.compared.clone(), self.wrong.clone())
    }
}

/// Of each view as many beats, and what was said and not kept.
type Found = (BTreeMap<String, usize>, Vec<String>);

fn order() {
    let mut lab = Lab::new("order", 3, 1);
    let reader = Arc::new(Mutex::new(Reader::new(&lab)));
    let reads = Arc::clone(&reader);
    lab.plan().watch(move |frame| reads.lock().unwrap().read(frame));
    lab.nodes.iter_mut().for_each(Node::start_held);
    lab.agree(&[0, 1, 2], true);
    lab.plan().partition(&[2]);
    lab.agree(&[0, 1], true);
    lab.plan().mend();
    lab.agree(&[0, 1, 2], true);
    let (compared, wrong) = reader.lock().unwrap().found();
    println!("       beats compared, by view: {compared:?}");
    assert!(wrong.is_empty(), "{} beats: {}", wrong.len(), wrong[0]);
    assert!(compared.len() >= VIEWS_LEAST, "{compared:?}");
}
