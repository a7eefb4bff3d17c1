//! What is known of another node's session while it lives: its keys, and what of it was taken.

use crate::base::hash::Hash128;
use crate::base::id::{Incarnation, NodeId};
use crate::base::time::BootTime;
use crate::cluster::beat::Session;
use crate::cluster::channel::{Dropped, Heard};
use crate::cluster::keys::SessionTag;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::replay::Window;
use crate::cluster::sealing::Seal;
use crate::format::frame::{Header, Kind};
use crate::format::greeting::Greeting;

/// A session of another node, for people and for those above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSession {
    /// The boot that it is of.
    pub incarnation: Incarnation,
    /// Which life of its daemon.
    pub session: Session,
    /// The newest version that both its program and this one speak.
    pub version: u8,
    /// The generation of its configuration when it greeted.
    pub generation: u64,
    /// The hash of that.
    pub configuration: Hash128,
    /// Since when it is known.
    pub since: BootTime,
    /// When it was heard last.
    pub heard: BootTime,
}

impl PeerSession {
    pub(super) fn of(greeting: &Greeting, version: u8, now: BootTime) -> PeerSession {
        PeerSession {
            incarnation: greeting.incarnation,
            session: Session(greeting.session),
            version,
            generation: greeting.generation,
            configuration: greeting.configuration,
            since: now,
            heard: now,
        }
    }
}

pub(super) struct Live {
    pub(super) session: PeerSession,
    pub(super) tag: SessionTag,
    /// What was sent to it.
    pub(super) counter: u64,
    /// How often this node began anew with it, and it with this node.
    pub(super) epochs: (u8, u8),
    pub(super) send: Seal,
    to_me: Seal,
    to_me_seen: Window,
    to_all: Seal,
    to_all_seen: Window,
}

impl Live {
    pub(super) fn new(session: PeerSession, tag: SessionTag, send: Seal, to_me: Seal, to_all: Seal) -> Live {
        Live {
            session,
            tag,
            counter: 0,
            epochs: (0, 0),
            send,
            to_me,
            to_me_seen: Window::default(),
            to_all,
            to_all_seen: Window::default(),
        }
    }

    pub(super) fn hear(
        &mut self,
        now: BootTime,
        header: &Header,
        datagram: &[u8],
        rules: Rules,
    ) -> Result<Heard, Dropped> {
        let node = header.sender;
        let (seal, seen) = match header.kind {
            Kind::ToAll => (&self.to_all, &mut self.to_all_seen),
            Kind::ToOne | Kind::Greeting => (&self.to_me, &mut self.to_me_seen),
        };
        let payload = seal.open(header, datagram).ok_or(Dropped::BadSeal(node))?;
        if !seen.take(header.counter) && !breaks!(rules, ReplayWindowDropped) {
            return Err(Dropped::Replayed(node, header.counter));
        }
        self.session.heard = now;
        match header.kind {
            Kind::ToAll => Ok(Heard::ToAll(node, header.counter, payload)),
            Kind::ToOne | Kind::Greeting => self.of_epoch(header, payload),
        }
    }

    fn of_epoch(&mut self, header: &Header, payload: Vec<u8>) -> Result<Heard, Dropped> {
        let (node, (theirs, mine)) = (header.sender, header.epochs);
        let (known_mine, known_theirs) = self.epochs;
        // Never more than a few apart: a session's packets are not that old.
        let ahead = theirs.wrapping_sub(known_theirs) as i8;
        self.epochs.1 = if ahead > 0 { theirs } else { known_theirs };
        let meant = mine == known_mine;
        match (ahead, meant) {
            (1.., _) => Ok(Heard::Renewed(node, meant.then_some((header.counter, payload)))),
            (0, true) => Ok(Heard::ToOne(node, header.counter, payload)),
            _ => Err(Dropped::OtherSession(node)),
        }
    }

    /// A daemon that was started anew takes the place of the one before at once. Another boot does so when this one is
    /// silent: as long as it is heard one of the two is a copy (F25).
    pub(super) fn may_be_followed(
        &self,
        now: BootTime,
        node: NodeId,
        greeting: &Greeting,
        window_ms: u64,
    ) -> Result<(), Dropped> {
        let known = &self.session;
        let restarted = greeting.incarnation == known.incarnation && greeting.session > known.session.0;
        if restarted || known.heard.plus_ms(window_ms) <= now {
            return Ok(());
        }
        Err(Dropped::Twin { node, known: known.incarnation, refused: greeting.incarnation })
    }
}
