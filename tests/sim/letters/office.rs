//! One machine of the world of letters: its transport, the channels below it, and the application above, which writes, reads,
//! and sometimes does not read for a while.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use evms::base::id::NodeId;
use evms::base::time::BootMicros;
use evms::cluster::mistake::Rules;
use evms::cluster::transport::Transport;
use evms::cluster::transport::event::{Event, SendError};

use crate::laws::Broken;
use crate::laws::delivery::Delivery;
use crate::letters::channel::Channel;

pub struct Office {
    pub place: usize,
    /// Which life of the daemon this is; it is dead between two.
    pub life: u64,
    pub transport: Option<Transport>,
    pub channels: BTreeMap<usize, Channel>,
    /// Messages that were refused for want of room, to be sent when there is some.
    waiting: BTreeMap<usize, VecDeque<Arc<Vec<u8>>>>,
    /// Until when the application takes nothing.
    pub busy_until: u64,
    /// Until when the whole process does not run.
    pub paused_until: u64,
    pub alarm: u64,
    /// What its clock is ahead.
    ahead_us: u64,
}

/// Machine 0 is node 1.
pub fn node(place: usize) -> NodeId {
    NodeId(place as u16 + 1)
}

fn place(node: NodeId) -> usize {
    usize::from(node.0) - 1
}

impl Office {
    pub fn new(place: usize, ahead_us: u64) -> Office {
        Office {
            place,
            life: 0,
            transport: None,
            channels: BTreeMap::new(),
            waiting: BTreeMap::new(),
            busy_until: 0,
            paused_until: 0,
            alarm: 0,
            ahead_us,
        }
    }

    pub fn now(&self, now_us: u64) -> BootMicros {
        BootMicros { us: now_us + self.ahead_us }
    }

    pub fn us(&self, at: BootMicros) -> u64 {
        at.us.saturating_sub(self.ahead_us)
    }

    pub fn start(&mut self, rules: Rules) {
        self.life += 1;
        self.transport = Some(Transport::new(rules));
    }

    pub fn crash(&mut self) {
        self.transport = None;
        self.channels.clear();
        self.waiting.clear();
    }

    /// Writes a message to a peer, behind those that wait.
    pub fn write(&mut self, to: usize, message: Vec<u8>, law: &mut Delivery) -> Result<(), Broken> {
        if self.channels.contains_key(&to) {
            self.waiting.entry(to).or_default().push_back(Arc::new(message));
            if !law.is_refused((self.place, self.life), to) {
                return self.send_waiting(to, law);
            }
        }
        Ok(())
    }

    fn send_waiting(&mut self, to: usize, law: &mut Delivery) -> Result<(), Broken> {
        let sender = (self.place, self.life);
        let (Some(transport), Some(channel)) = (&mut self.transport, self.channels.get(&to)) else {
            return Ok(());
        };
        let Some(waiting) = self.waiting.get_mut(&to) else { return Ok(()) };
        while let Some(message) = waiting.pop_front() {
            match transport.send(node(to), Arc::clone(&message)) {
                Ok(id) => law.sent(sender, id, channel.pair, message)?,
                Err(SendError::Full { .. }) => {
                    waiting.push_front(message);
                    law.refused(sender, to, true);
                    return Ok(());
                }
                Err(error) => return Err(Broken { law: "send", words: error.to_string() }),
            }
        }
        Ok(())
    }

    /// The session with a peer is gone, and what waited for it too.
    pub fn lost(&mut self, peer: usize, law: &mut Delivery) {
        self.channels.remove(&peer);
        self.waiting.remove(&peer);
        law.refused((self.place, self.life), peer, false);
    }

    /// Does what the transport tells; was anything told?
    pub fn hear(&mut self, law: &mut Delivery) -> Result<bool, Broken> {
        let sender = (self.place, self.life);
        let mut heard = false;
        while let Some(event) = self.transport.as_mut().and_then(Transport::event) {
            heard = true;
            match event {
                Event::Arrived(_) => (),
                Event::Delivered(_, id) => law.told(sender, id, true)?,
                Event::Failed(_, id, _) => law.told(sender, id, false)?,
                Event::Room(node) => {
                    law.refused(sender, place(node), false);
                    self.send_waiting(place(node), law)?;
                }
            }
        }
        Ok(heard)
    }

    /// Takes what came, unless the application is busy.
    pub fn read(&mut self, now_us: u64, law: &mut Delivery) -> Result<(), Broken> {
        if self.busy_until > now_us {
            return Ok(());
        }
        let now = self.now(now_us);
        let Some(transport) = &mut self.transport else { return Ok(()) };
        for (peer, channel) in &self.channels {
            while let Some(message) = transport.take(now, node(*peer)) {
                law.taken((channel.pair, *peer), &message)?;
            }
        }
        Ok(())
    }

    /// Are its bounds kept?
    pub fn check(&self, law: &Delivery) -> Result<(), Broken> {
        let Some(transport) = &self.transport else { return Ok(()) };
        for (peer, channel) in &self.channels {
            if let Some(kept) = transport.bytes(node(*peer)) {
                law.keeps(kept, (channel.pair, *peer))?;
            }
        }
        Ok(())
    }
}
