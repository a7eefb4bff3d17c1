//! One network path to a peer: what is under way on it, how fast and how large packets may be, and whether it lives. Pings are
//! sent on every link, used or not; only what a peer answers on the same link says that both directions work.

use std::collections::VecDeque;

use crate::base::time::BootMicros;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::transport::congestion::Congestion;
use crate::cluster::transport::flight::{Acknowledged, Flight, Sent};
use crate::cluster::transport::limits::{
    FLIGHT_PACKETS_MAX, LINK_LOST_PER_MILLE_MAX, LINK_SILENT_US, OVERTAKING_US, PAYLOAD_BYTES_BASE,
    PING_LOST_US, PING_US, PINGS_MAX, PONGS_MAX, RETRIES_BEFORE_ANOTHER_LINK, RETRY_PACKETS,
    ROUND_TRIP_US_FIRST,
};
use crate::cluster::transport::losses::Losses;
use crate::cluster::transport::pace::Pace;
use crate::cluster::transport::path_size::PathSize;
use crate::cluster::transport::round_trip::RoundTrip;
use crate::format::cursor::Writer;
use crate::format::packet::{self, Arrived};

/// How a link is, for people and for status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Smoothed round trip in microseconds; nothing before the first.
    pub round_trip_us: Option<u64>,
    /// By how many microseconds it varies.
    pub varied_us: u64,
    /// How many of a thousand packets of the last minute were lost; nothing while too few are known.
    pub lost_per_mille: Option<u64>,
    /// Bytes of payload that a packet may have.
    pub payload_bytes: usize,
    /// Bytes that may be under way, and that are.
    pub window_bytes: u64,
    /// Bytes that are under way.
    pub under_way_bytes: u64,
    /// Is it the one on which this node sends?
    pub in_use: bool,
    /// Is nothing answered on it?
    pub dead: bool,
    /// When something last came on it.
    pub heard: Option<BootMicros>,
    /// When the peer last answered what was sent on it.
    pub answered: Option<BootMicros>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    token: u64,
    at: BootMicros,
    payload: usize,
}

/// When a packet with some of the stream may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// At this moment, with so many bytes of payload.
    At(BootMicros, usize),
    /// Not before something under way arrived or was lost.
    Blocked,
}

/// Whether a link works, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// What is sent is answered.
    Well,
    /// Pings are answered; what was sent beside them was not, for long.
    Unanswering,
    /// Nothing is answered.
    Silent,
}

/// How much better one link is than another, less being better: its health, whether it loses much, and its round trip in
/// microseconds.
pub type Standing = (Health, bool, u64);

/// One link.
#[derive(Clone, Debug)]
pub struct Link {
    round_trip: RoundTrip,
    congestion: Congestion,
    pace: Pace,
    flight: Flight,
    size: PathSize,
    losses: Losses,
    pings: VecDeque<Ping>,
    ping_at: BootMicros,
    pongs: VecDeque<u64>,
    began: BootMicros,
    heard: Option<BootMicros>,
    answered: Option<BootMicros>,
    retries: u32,
    /// Packets that may leave whatever the window says, to try again.
    allowed: u32,
    overtaking_until: BootMicros,
}

impl Link {
    /// A link of which nothing is known.
    pub fn new(now: BootMicros) -> Link {
        let mut link = Link {
            round_trip: RoundTrip::default(),
            congestion: Congestion::new(),
            pace: Pace::default(),
            flight: Flight::default(),
            size: PathSize::new(now),
            losses: Losses::default(),
            pings: VecDeque::new(),
            ping_at: now,
            pongs: VecDeque::new(),
            began: now,
            heard: None,
            answered: None,
            retries: 0,
            allowed: 0,
            overtaking_until: BootMicros::default(),
        };
        link.set_pace(now);
        link.pace.fill();
        link
    }

    /// How it is.
    pub fn status(&self, now: BootMicros, in_use: bool) -> LinkStatus {
        LinkStatus {
            round_trip_us: self.round_trip.smoothed_us(),
            varied_us: self.round_trip.varied_us(),
            lost_per_mille: self.losses.per_mille(),
            payload_bytes: self.size.payload(),
            window_bytes: self.congestion.window(),
            under_way_bytes: self.flight.bytes(),
            in_use,
            dead: self.is_silent(now),
            heard: self.heard,
            answered: self.answered,
        }
    }

    /// Is nothing answered that is sent on it?
    pub fn is_silent(&self, now: BootMicros) -> bool {
        now.since(self.answered.unwrap_or(self.began)) >= LINK_SILENT_US
    }

    /// Does it work?
    pub fn health(&self, now: BootMicros) -> Health {
        if self.is_silent(now) {
            Health::Silent
        } else if self.retries >= RETRIES_BEFORE_ANOTHER_LINK {
            Health::Unanswering
        } else {
            Health::Well
        }
    }

    /// How well it stands.
    pub fn standing(&self, now: BootMicros) -> Standing {
        let losing = self.losses.per_mille().is_some_and(|lost| lost > LINK_LOST_PER_MILLE_MAX);
        (self.health(now), losing, self.round_trip.smoothed_us().unwrap_or(ROUND_TRIP_US_FIRST))
    }

    /// Is its round trip known?
    pub fn is_measured(&self) -> bool {
        self.round_trip.smoothed_us().is_some()
    }

    /// Tries without an answer.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Something came on it.
    pub fn hear(&mut self, now: BootMicros) {
        self.heard = Some(now);
    }

    fn answer(&mut self, now: BootMicros) {
        self.answered = Some(now);
        self.retries = 0;
        self.allowed = 0;
    }

    fn set_pace(&mut self, now: BootMicros) {
        let trip_us = self.round_trip.smoothed_us().unwrap_or(ROUND_TRIP_US_FIRST);
        self.pace.set(now, self.congestion.window(), trip_us, self.size.payload() as u64);
    }

    fn is_overtaking(&self, now: BootMicros) -> bool {
        self.overtaking_until > now
    }

    fn patience_us(&self, now: BootMicros) -> u64 {
        self.round_trip.patience_us(self.is_overtaking(now))
    }

    // Stream: what may leave, what arrived, what is lost.

    /// When a packet with some of the stream may leave.
    pub fn leave(&self, now: BootMicros, rules: Rules) -> Leave {
        if self.flight.packets() >= FLIGHT_PACKETS_MAX {
            return Leave::Blocked;
        }
        if self.allowed > 0 {
            let size = if breaks!(rules, RetryAtFullSize) { self.size.payload() } else { PAYLOAD_BYTES_BASE };
            return Leave::At(now, size);
        }
        let packet = self.size.payload() as u64;
        if self.flight.bytes() + packet > self.congestion.window() {
            return Leave::Blocked;
        }
        Leave::At(self.pace.free(now, packet), self.size.payload())
    }

    /// May one more packet be remembered that asks to be acknowledged?
    pub fn has_room(&self) -> bool {
        self.flight.packets() < FLIGHT_PACKETS_MAX
    }

    /// A packet that asks to be acknowledged leaves; what had left under its number is lost.
    pub fn sent(&mut self, number: u64, sent: Sent) -> Option<Sent> {
        self.pace.sent(sent.at, sent.bytes);
        self.allowed = self.allowed.saturating_sub(1);
        self.flight.sent(number, sent)
    }

    /// Takes an acknowledgement in that came on this link, or on another. What was lost by it is in the second list.
    pub fn acknowledge(
        &mut self,
        now: BootMicros,
        arrived: &Arrived,
        on_this: bool,
    ) -> (Acknowledged, Vec<Sent>) {
        let was_full = 2 * self.flight.bytes() >= self.congestion.window();
        let told = self.flight.acknowledge(arrived);
        for sent in &told.late {
            self.losses.late(now);
            self.congestion.late(sent.at);
            self.overtaking_until = now.plus_us(OVERTAKING_US);
        }
        if told.packets.is_empty() {
            return (told, Vec::new());
        }
        self.answer(now);
        if let Some(sent) = told.largest_sent.filter(|_| on_this) {
            self.round_trip.measure(now.since(sent), u64::from(arrived.held_back_us));
        }
        self.losses.arrived(now, told.packets.len() as u64);
        for sent in &told.packets {
            self.congestion.arrived(sent.at, sent.bytes, was_full);
        }
        let large_arrived = told.packets.iter().any(is_large);
        let lost = self.give_up(now, large_arrived);
        self.set_pace(now);
        (told, lost)
    }

    /// Packets that are lost by now.
    pub fn give_up(&mut self, now: BootMicros, large_arrived: bool) -> Vec<Sent> {
        let lost = self.flight.give_up(now, self.patience_us(now), self.is_overtaking(now));
        let large_lost = lost.iter().filter(|sent| is_large(sent)).count();
        if large_lost > 0 || large_arrived {
            self.size.learn(now, u32::try_from(large_lost).unwrap_or(u32::MAX), large_arrived);
        }
        self.losses.lost(now, lost.len() as u64);
        for sent in &lost {
            self.congestion.lost(sent.at, now);
        }
        lost
    }

    /// All that is under way: nobody waits for it on this link any more.
    pub fn give_up_all(&mut self, now: BootMicros) -> Vec<Sent> {
        let lost = self.flight.give_up_all();
        self.losses.lost(now, lost.len() as u64);
        lost
    }

    /// When packets that were overtaken are lost, and when nothing was answered for so long that it must be tried again.
    pub fn alarms(&self, now: BootMicros) -> (BootMicros, BootMicros) {
        let give_up = self.flight.give_up_at(self.patience_us(now)).unwrap_or(BootMicros::FOREVER);
        let waits = self.flight.packets() > 0;
        let retry = self.flight.last().plus_us(self.round_trip.retry_us(self.retries));
        (give_up, if waits { retry } else { BootMicros::FOREVER })
    }

    /// Nothing was answered for long: what is under way for longest may be sent again at once, in small packets.
    pub fn retry(&mut self, now: BootMicros) -> impl Iterator<Item = &Sent> {
        self.retries = self.retries.saturating_add(1);
        self.allowed = RETRY_PACKETS;
        if self.retries >= RETRIES_BEFORE_ANOTHER_LINK {
            self.congestion.stalled(now);
            self.set_pace(now);
        }
        self.flight.oldest().take(RETRY_PACKETS as usize)
    }

    // Pings and pongs.

    /// The peer asks for an answer.
    pub fn asked(&mut self, token: u64) {
        if self.pongs.len() < PONGS_MAX {
            self.pongs.push_back(token);
        }
    }

    /// The peer answered a ping.
    pub fn answered(&mut self, now: BootMicros, token: u64) {
        let Some(place) = self.pings.iter().position(|ping| ping.token == token) else { return };
        let Some(ping) = self.pings.remove(place) else { return };
        self.answer(now);
        self.round_trip.measure(now.since(ping.at), 0);
        self.losses.arrived(now, 1);
        self.size.passed(now, ping.payload);
        self.set_pace(now);
    }

    /// A packet of pings or pongs that is due, if one is.
    pub fn ping(&mut self, now: BootMicros, token: &mut u64) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        if !self.pongs.is_empty() {
            self.pongs.drain(..).for_each(|token| packet::put_pong(&mut writer, token));
            return Some(writer.finish());
        }
        self.forget_pings(now);
        let payload = if self.ping_at <= now {
            self.ping_at = now.plus_us(PING_US);
            packet::PING_BYTES
        } else if self.size_at(now) <= now {
            self.size.try_now(now)?
        } else {
            return None;
        };
        if self.pings.len() == PINGS_MAX {
            self.pings.pop_front();
        }
        *token += 1;
        self.pings.push_back(Ping { token: *token, at: now, payload });
        packet::put_ping(&mut writer, *token, payload);
        Some(writer.finish())
    }

    /// Pings that were not answered. That one of a larger size was not is no loss.
    fn forget_pings(&mut self, now: BootMicros) {
        while let Some(ping) = self.pings.front().filter(|ping| ping.at.plus_us(PING_LOST_US) <= now) {
            self.losses.lost(now, u64::from(ping.payload == packet::PING_BYTES));
            self.pings.pop_front();
        }
    }

    /// When a larger size is to be tried: not on a link that does not answer.
    fn size_at(&self, now: BootMicros) -> BootMicros {
        let lives = self.answered.is_some() && !self.is_silent(now);
        if lives { self.size.due() } else { BootMicros::FOREVER }
    }

    /// When the next ping or pong is due.
    pub fn ping_due(&self, now: BootMicros) -> BootMicros {
        if self.pongs.is_empty() { self.ping_at.min(self.size_at(now)) } else { now }
    }
}

fn is_large(sent: &Sent) -> bool {
    sent.bytes > PAYLOAD_BYTES_BASE as u64
}
