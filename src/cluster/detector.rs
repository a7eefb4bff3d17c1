//! The detector, without hands: datagrams in, datagrams out. It joins the channel, which knows who speaks, with the
//! membership, which knows what follows from it. A thread of its own drives it, with sockets of its own, so that nothing
//! that the engine waits for stops the beat (safety 1.4).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::id::NodeId;
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::cluster::beat::Beat;
use crate::cluster::channel::{Channel, Dropped, Heard};
use crate::cluster::link::Link;
use crate::cluster::membership::Membership;
use crate::cluster::parts::{Joining, split};
use crate::cluster::roster::LINKS_MAX;

/// A slow link may be so many beats behind a fast one: seconds, where beats of a few parts leave ten times in one.
const COPIES_BEHIND_MAX: u64 = 64;

/// A datagram that is to go out, on every link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// To all other nodes.
    ToAll(Vec<u8>),
    /// To this one.
    ToOne(NodeId, Vec<u8>),
}

/// The detector.
pub struct Detector {
    channel: Channel,
    membership: Membership,
    joining: SmallMap<NodeId, Joining>,
    links: SmallMap<NodeId, [Link; LINKS_MAX]>,
    beats: u32,
    out: VecDeque<Outgoing>,
}

impl Detector {
    /// Of these two.
    pub fn new(channel: Channel, membership: Membership) -> Detector {
        Detector {
            channel,
            membership,
            joining: SmallMap::new(),
            links: SmallMap::new(),
            beats: 0,
            out: VecDeque::new(),
        }
    }

    /// The members, the quorum.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The same, to be told something.
    pub fn membership_mut(&mut self) -> &mut Membership {
        &mut self.membership
    }

    /// Who speaks.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The paths from a node, as beats tell of them.
    pub fn links(&self, node: NodeId) -> [Link; LINKS_MAX] {
        self.links.get(&node).copied().unwrap_or_default()
    }

    fn note(&mut self, now: BootTime, node: NodeId, link: usize, number: u64) {
        if let Some(link) = self.links.or_insert_with(node, Default::default).get_mut(link) {
            link.note(now, number);
        }
    }

    /// Takes a datagram in; it came on this link, from zero.
    pub fn hear(&mut self, now: BootTime, link: usize, datagram: &[u8]) -> Result<(), Dropped> {
        let heard = self.channel.hear(now, datagram);
        match heard {
            Ok(Heard::ToAll(node, number, payload)) => {
                self.note(now, node, link, number);
                self.hear_part(now, node, &payload);
                Ok(())
            }
            Ok(Heard::Greeting(node, true)) => {
                self.joining.remove(&node);
                self.links.or_insert_with(node, Default::default).iter_mut().for_each(Link::forget_numbers);
                Ok(())
            }
            Ok(Heard::Greeting(_, false) | Heard::ToOne(..) | Heard::Renewed(..)) => Ok(()),
            Err(Dropped::Replayed(node, number)) => {
                // What another link carried first; what is older was played back, and shows no link alive.
                let newest = self.links.get(&node).into_iter().flatten().map(Link::highest).max();
                if number.saturating_add(COPIES_BEHIND_MAX) > newest.unwrap_or(0) {
                    self.note(now, node, link, number);
                }
                Err(Dropped::Replayed(node, number))
            }
            Err(dropped) => Err(dropped),
        }
    }

    fn hear_part(&mut self, now: BootTime, node: NodeId, payload: &[u8]) {
        let whole = self.joining.or_insert_with(node, Joining::default).take(payload);
        let beat = whole.and_then(|bytes| Beat::decode(&bytes));
        let session = self.channel.session(node);
        // It has to be of the boot that greeted: what is sealed is true, and still may not speak for somebody else.
        let fits = |beat: &Beat| {
            beat.node == node && session.is_some_and(|session| session.incarnation == beat.incarnation)
        };
        if let Some(beat) = beat.filter(fits) {
            self.membership.hear(now, &Arc::new(beat));
        }
    }

    /// Time went by.
    pub fn tick(&mut self, now: BootTime) {
        self.membership.tick(now);
    }

    /// When to call [`Detector::tick`] and ask for what is to go out, at the latest.
    pub fn deadline(&self) -> BootTime {
        self.membership.deadline().min(self.channel.deadline())
    }

    /// The beat that is due is put among what goes out, as soon as `keep` has kept what the membership must remember of it:
    /// a daemon that dies between the two has promised what nobody heard, and one that died the other way round would come
    /// back and act against what others count on (safety 1.3). Without that the beat is never sent: what it promises could
    /// not be kept. Was one put there?
    pub fn beat(&mut self, now: BootTime, keep: impl FnOnce(&Membership) -> bool) -> bool {
        let Some(beat) = self.membership.beat(now) else { return false };
        if !keep(&self.membership) {
            return false;
        }
        self.beats = self.beats.wrapping_add(1);
        for part in split(self.beats, &beat.encode()) {
            self.out.extend(self.channel.to_all(&part).map(Outgoing::ToAll));
        }
        true
    }

    /// The next datagram that is to go out.
    pub fn outgoing(&mut self, now: BootTime) -> Option<Outgoing> {
        let greeting = |(node, datagram)| Outgoing::ToOne(node, datagram);
        self.out.pop_front().or_else(|| self.channel.greeting(now).map(greeting))
    }
}

#[cfg(test)]
mod tests;
