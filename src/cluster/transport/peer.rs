//! One session with one peer: its stream in both directions, and the links that carry it. What leaves when is decided here.

use crate::base::id::NodeId;
use crate::base::time::BootMicros;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::transport::arrivals::Arrivals;
use crate::cluster::transport::event::{Event, MessageId, Refusals};
use crate::cluster::transport::flight::Sent;
use crate::cluster::transport::inbox::{Inbox, NotKept};
use crate::cluster::transport::limits::{
    ACKNOWLEDGE_US, LINK_BETTER_US, LINK_HOLD_US, LINKS_MAX, PAYLOAD_BYTES_BASE, PIECES_MAX,
    RETRIES_BEFORE_ANOTHER_LINK, WINDOW_BYTES,
};
use crate::cluster::transport::link::{Health, Leave, Link, LinkStatus};
use crate::cluster::transport::outbox::Outbox;
use crate::format::cursor::Writer;
use crate::format::packet::{
    self, ARRIVED_BYTES, ARRIVED_RANGES_MAX, Arrived, PIECE_HEAD_BYTES, Part, RANGE_BYTES, TAKEN_BYTES,
};

/// A piece of less than this is not worth its head, when a packet is nearly full.
const PIECE_BYTES_MIN: usize = 16;
/// Room for a packet that carries nothing of the stream.
const PACKET_BYTES_WITHOUT_STREAM: usize =
    ARRIVED_BYTES + (ARRIVED_RANGES_MAX - 1) * RANGE_BYTES + TAKEN_BYTES;
/// A limit that rose by so much is told at once: the peer may be waiting for it.
const LIMIT_BYTES_TOLD: u64 = WINDOW_BYTES as u64 / 4;

/// A packet that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// On which link.
    pub link: usize,
    /// Under which number.
    pub number: u64,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// A session with a peer.
#[derive(Clone, Debug)]
pub struct Peer {
    node: NodeId,
    rules: Rules,
    links: Vec<Link>,
    used: usize,
    used_since: Option<BootMicros>,
    outbox: Outbox,
    inbox: Inbox,
    arrivals: Arrivals,
    /// When the peer must be told how far its stream was taken, and which limit it knows.
    taken_due: Option<BootMicros>,
    limit_told: u64,
    token: u64,
    newest: Option<u64>,
}

impl Peer {
    /// A session that begins.
    pub fn new(node: NodeId, links: usize, rules: Rules, now: BootMicros) -> Peer {
        Peer {
            node,
            rules,
            links: (0..links.clamp(1, LINKS_MAX)).map(|_| Link::new(now)).collect(),
            used: 0,
            used_since: None,
            outbox: Outbox::new(rules),
            inbox: Inbox::new(rules),
            arrivals: Arrivals::default(),
            taken_due: None,
            limit_told: WINDOW_BYTES as u64,
            token: 0,
            newest: None,
        }
    }

    /// A session that begins with what another one left half received: a mistake.
    #[cfg(feature = "mistakes")]
    pub fn continued(self, before: Peer) -> Peer {
        Peer { inbox: before.inbox, ..self }
    }

    /// What is to be sent.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Bytes kept for the peer, and kept of it.
    pub fn bytes(&self) -> (usize, usize) {
        (self.outbox.bytes(), self.inbox.bytes())
    }

    /// How its links are.
    pub fn status(&self, now: BootMicros) -> Vec<LinkStatus> {
        let links = self.links.iter().enumerate();
        links.map(|(place, link)| link.status(now, place == self.used)).collect()
    }

    /// The next message, for the application.
    pub fn take(&mut self, now: BootMicros) -> Option<Vec<u8>> {
        let message = self.inbox.take()?;
        self.tell_taken(now.plus_us(ACKNOWLEDGE_US));
        self.tell_limit(now);
        Some(message)
    }

    /// All messages of which it is not known that they were taken.
    pub fn unfinished(&self) -> impl Iterator<Item = MessageId> {
        self.outbox.unfinished()
    }

    fn tell_taken(&mut self, at: BootMicros) {
        self.taken_due = Some(self.taken_due.map_or(at, |due| due.min(at)));
    }

    fn tell_limit(&mut self, now: BootMicros) {
        if self.inbox.limit() >= self.limit_told + LIMIT_BYTES_TOLD {
            self.tell_taken(now);
        }
    }

    // What comes.

    /// Takes a packet in that came on a link of this session.
    pub fn receive(
        &mut self,
        now: BootMicros,
        link: usize,
        number: u64,
        payload: &[u8],
        refusals: &mut Refusals,
        mut tell: impl FnMut(Event),
    ) {
        let Some(on) = self.links.get_mut(link) else {
            refusals.strangers += 1;
            return;
        };
        let Ok(parts) = packet::read(payload) else {
            refusals.malformed += 1;
            return;
        };
        on.hear(now);
        let had_message = self.inbox.has_message();
        let (mut asks, mut kept) = (false, true);
        for part in parts {
            asks |= matches!(part, Part::Taken { .. } | Part::Piece { .. });
            kept &= self.hear(now, link, part, refusals, &mut tell);
        }
        if kept {
            self.arrivals.arrived(now, number, asks, link);
        }
        if !breaks!(self.rules, LimitNotTold) {
            self.tell_limit(now);
        }
        if self.inbox.has_message() && !had_message {
            tell(Event::Arrived(self.node));
        }
    }

    /// Takes one part in; was all of it kept?
    fn hear(
        &mut self,
        now: BootMicros,
        link: usize,
        part: Part<'_>,
        refusals: &mut Refusals,
        tell: &mut impl FnMut(Event),
    ) -> bool {
        match part {
            Part::Arrived(arrived) => self.acknowledged(now, link, &arrived, refusals),
            Part::Taken { taken, limit } => return self.taken(taken, limit, refusals, tell),
            Part::Piece { offset, bytes } => {
                let kept = self.inbox.piece(offset, bytes);
                refusals.outside_window += u64::from(kept == Err(NotKept::OutsideWindow));
                refusals.too_early += u64::from(kept == Err(NotKept::TooEarly));
                if breaks!(self.rules, TakenBeforeApplication) {
                    self.tell_taken(now);
                }
                return kept.is_ok();
            }
            Part::Ping(token) => self.links[link].asked(token),
            Part::Pong(token) => {
                self.links[link].answered(now, token);
                self.choose(now);
            }
        }
        true
    }

    fn taken(
        &mut self,
        taken: u64,
        limit: u64,
        refusals: &mut Refusals,
        tell: &mut impl FnMut(Event),
    ) -> bool {
        let node = self.node;
        if self.outbox.taken(taken, limit, |id| tell(Event::Delivered(node, id))).is_err() {
            refusals.never_sent += 1;
            return false;
        }
        if self.outbox.has_room_again() {
            tell(Event::Room(node));
        }
        true
    }

    fn acknowledged(&mut self, now: BootMicros, link: usize, arrived: &Arrived, refusals: &mut Refusals) {
        let largest = arrived.ranges.first().map(|(_, largest)| *largest);
        if largest.is_some() && largest > self.newest {
            refusals.never_sent += 1;
            return;
        }
        for place in 0..self.links.len() {
            let (told, lost) = self.links[place].acknowledge(now, arrived, place == link);
            for sent in told.packets.iter().chain(&told.late) {
                for (from, to) in &sent.pieces {
                    self.outbox.acknowledged(*from, *to);
                }
                if let Some(largest) = sent.acknowledges {
                    self.arrivals.known(largest);
                }
            }
            self.lost(now, &lost);
        }
    }

    fn lost(&mut self, now: BootMicros, lost: &[Sent]) {
        for sent in lost {
            for (from, to) in &sent.pieces {
                self.outbox.lost(*from, *to);
            }
            if sent.tells_taken && !breaks!(self.rules, TakenToldOnce) {
                self.tell_taken(now);
            }
        }
    }

    // Which link.

    /// Takes the best link into use: another one only when that is much better, or this one does not work.
    fn choose(&mut self, now: BootMicros) {
        let standings = self.links.iter().map(|link| link.standing(now)).enumerate();
        let Some((place, best)) = standings.min_by_key(|(_, standing)| *standing) else { return };
        if place == self.used || breaks!(self.rules, LinkNeverChanged) {
            return;
        }
        let (health, losing, trip_us) = self.links[self.used].standing(now);
        let held = self.used_since.is_some_and(|since| now.since(since) < LINK_HOLD_US);
        let better_us = (trip_us / 4).max(LINK_BETTER_US);
        let better = (best.0, best.1) < (health, losing) || best.2 + better_us < trip_us;
        if best.0 < health || (better && !held) {
            self.turn_to(now, place);
        }
    }

    fn turn_to(&mut self, now: BootMicros, place: usize) {
        let left = self.used;
        self.used = place;
        // Whoever left a link before it was measured may go back as soon as it is.
        self.used_since = self.links[left].is_measured().then_some(now);
        if self.links[left].health(now) != Health::Well {
            let lost = self.links[left].give_up_all(now);
            if !breaks!(self.rules, LinkLossForgotten) {
                self.lost(now, &lost);
            }
        }
    }

    // What leaves.

    /// Does what the time says.
    fn tick(&mut self, now: BootMicros) {
        for place in 0..self.links.len() {
            let (give_up, retry) = self.links[place].alarms(now);
            if give_up <= now {
                let lost = self.links[place].give_up(now, false);
                self.lost(now, &lost);
            }
            if retry <= now {
                self.retry(now, place);
            }
        }
    }

    /// Nothing on this link was answered for long.
    fn retry(&mut self, now: BootMicros, place: usize) {
        let again: Vec<Sent> = self.links[place].retry(now).cloned().collect();
        let retries = self.links[place].retries();
        if breaks!(self.rules, RetryGivenUp) && retries > 2 {
            for sent in self.links[place].give_up_all(now) {
                sent.pieces.iter().for_each(|(from, to)| self.outbox.acknowledged(*from, *to));
            }
            return;
        }
        self.lost(now, &again);
        if place != self.used || retries >= RETRIES_BEFORE_ANOTHER_LINK {
            let lost = self.links[place].give_up_all(now);
            if !breaks!(self.rules, LinkLossForgotten) {
                self.lost(now, &lost);
            }
        }
        if !self.outbox.has_lost() {
            // All of it arrived in other packets, and still this link is to be asked for an answer.
            self.tell_taken(now);
        }
        self.choose(now);
        let silent = self.links.iter().all(|link| link.is_silent(now));
        if silent && place == self.used && retries.is_multiple_of(2) && !breaks!(self.rules, LinkNeverChanged)
        {
            // No link works as far as anybody can tell: each is tried in turn.
            self.turn_to(now, (self.used + 1) % self.links.len());
        }
    }

    /// The next packet to send now; `number` is asked once for each.
    pub fn poll(&mut self, now: BootMicros, number: &mut impl FnMut() -> u64) -> Option<Leaving> {
        self.tick(now);
        for link in 0..self.links.len() {
            if self.links[link].ping_due(now) <= now {
                self.choose(now);
                if let Some(payload) = self.links[link].ping(now, &mut self.token) {
                    return Some(self.leaves(link, number(), payload));
                }
            }
        }
        let is_due = |due: Option<BootMicros>| due.is_some_and(|due| due <= now);
        let back = self.way_back(now);
        if back != self.used && is_due(self.arrivals.due()) {
            return Some(self.fill(now, back, number(), None, false));
        }
        let tells = is_due(self.taken_due) && self.links[self.used].has_room();
        let stream = self.stream_room(now);
        if stream.is_none() && !tells && !is_due(self.arrivals.due()) {
            return None;
        }
        let tells = self.taken_due.is_some() && (tells || stream.is_some());
        Some(self.fill(now, self.used, number(), stream, tells))
    }

    /// The link for acknowledgements: that on which packets came, for their round trip is measured, and the one that this node
    /// uses may be one that does not work.
    fn way_back(&self, now: BootMicros) -> usize {
        let back = self.arrivals.link();
        if self.links[back].is_silent(now) { self.used } else { back }
    }

    /// How large a packet with some of the stream may be, if one may leave now.
    fn stream_room(&self, now: BootMicros) -> Option<usize> {
        self.outbox.sendable(1)?;
        match self.links[self.used].leave(now, self.rules) {
            Leave::At(at, room) if at <= now => Some(room),
            _ => None,
        }
    }

    fn fill(
        &mut self,
        now: BootMicros,
        link: usize,
        number: u64,
        stream: Option<usize>,
        tells_taken: bool,
    ) -> Leaving {
        let mut writer = Writer::with_room(stream.unwrap_or(PACKET_BYTES_WITHOUT_STREAM));
        let arrived = if self.way_back(now) == link { self.arrivals.tell(now) } else { None };
        if let Some(arrived) = &arrived {
            packet::put_arrived(&mut writer, arrived);
        }
        if tells_taken {
            self.taken_due = None;
            self.limit_told = self.inbox.limit();
            packet::put_taken(&mut writer, self.inbox.taken(), self.limit_told);
        }
        let mut pieces = Vec::new();
        let room = stream.unwrap_or(0);
        while let Some(left) =
            room.checked_sub(writer.len() + PIECE_HEAD_BYTES).filter(|left| *left >= PIECE_BYTES_MIN)
        {
            let next = self.outbox.sendable(left.min(usize::from(u16::MAX)));
            let Some((from, to)) = next.filter(|_| pieces.len() < PIECES_MAX) else { break };
            packet::put_piece_head(&mut writer, from, u16::try_from(to - from).unwrap_or(u16::MAX));
            self.outbox.write(from, to, &mut writer);
            self.outbox.sent(from, to);
            pieces.push((from, to));
        }
        let payload = writer.finish();
        if tells_taken || !pieces.is_empty() {
            let acknowledges =
                arrived.and_then(|arrived| arrived.ranges.first().map(|(_, largest)| *largest));
            let sent = Sent { tells_taken, acknowledges, ..Sent::new(now, payload.len() as u64, pieces) };
            let before = self.links[link].sent(number, sent);
            self.lost(now, before.as_slice());
        }
        self.leaves(link, number, payload)
    }

    fn leaves(&mut self, link: usize, number: u64, payload: Vec<u8>) -> Leaving {
        self.newest = self.newest.max(Some(number));
        Leaving { link, number, payload }
    }

    /// When [`Peer::poll`] has to be asked again though nothing comes.
    pub fn deadline(&self, now: BootMicros) -> BootMicros {
        let stream = match self.outbox.sendable(1).map(|_| self.links[self.used].leave(now, self.rules)) {
            Some(Leave::At(at, _)) => at,
            Some(Leave::Blocked) | None => BootMicros::FOREVER,
        };
        let taken = self.taken_due.filter(|_| self.links[self.used].has_room());
        let told = [self.arrivals.due(), taken].into_iter().flatten();
        let links = self.links.iter().flat_map(|link| {
            let (give_up, retry) = link.alarms(now);
            [give_up, retry, link.ping_due(now)]
        });
        links.chain(told).fold(stream, BootMicros::min)
    }
}

const _: () = assert!(ARRIVED_BYTES + PIECE_HEAD_BYTES + PIECE_BYTES_MIN < PAYLOAD_BYTES_BASE);
