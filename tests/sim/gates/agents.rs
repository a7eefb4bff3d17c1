//! Fence agents, step by step as `run::daemon::fencing` and `run::fencing` have them: asked in the turn of who asks, told `off`, asked
//! for their status, and what was under way waited for. They work, or do not, or lie, or hang; whom they cut comes up again soon.

use evms::base::id::Incarnation;
use evms::base::time::BootTime;
use evms::engine::guard::duty::{self, ASKED_MS, Duty};
use evms::engine::guard::evidence::{self, AgentName, Power, Prospect, Receipt};

use crate::chance::Chance;
use crate::gates::machine::Fence;
use crate::gates::mistake::Mistake;
use crate::gates::process::{Do, Kind, Next};
use crate::gates::world::{Event, World};

/// Milliseconds that all tries of a machine's agents take at most.
const LIMIT_MS: u64 = 6000;
const AGAIN_MS: (u64, u64) = (2000, 60_000);

/// Has every machine agents for all others in the run of this seed? By a chance of its own: other runs are as they would be without.
pub fn are_there(seed: u64) -> bool {
    Chance::new(seed ^ 0x0ff0_0ff0).per_mille(350)
}

/// Is such a seed worth a run for this mistake?
pub fn fits(mistake: Mistake, seed: u64) -> bool {
    let of_agents = matches!(mistake, Mistake::OffBelievedWithoutStatus | Mistake::OffCoversTheNextLife);
    !of_agents || are_there(seed)
}

impl World {
    /// A term of the lease began.
    pub fn plan_fencing(&mut self, place: usize, now: BootTime, rank: u64) {
        let absent = self.absentees(place);
        let here = (0..self.machines.len()).filter(|other| !absent.contains(other));
        self.machines[place].engine.seen.extend(here);
        let victims = if self.agents || self.asks { absent } else { Vec::new() };
        let limit_ms = if self.agents { LIMIT_MS } else { 0 } + if self.asks { ASKED_MS } else { 0 };
        let (engine, timing) = (&self.machines[place].engine, &self.configuration.timing);
        let fence = |victim: usize| {
            let at = duty::first_asked(now, (rank, limit_ms), engine.seen.contains(&victim), timing);
            Fence { victim, next: Some((at, AGAIN_MS.0)), process: 0 }
        };
        self.machines[place].engine.fences = victims.into_iter().map(fence).collect();
    }

    pub fn see_to_fencing(&mut self, place: usize) {
        let now = self.now_of(place);
        for number in 0..self.machines[place].engine.fences.len() {
            let Fence { victim, next, process } = self.machines[place].engine.fences[number];
            let Some((at, pause_ms)) = next else { continue };
            if now < at || !self.machines[place].engine.quorate || self.processes.contains_key(&process) {
                continue;
            }
            let process = self.spawn(place, Kind::Fence(victim));
            // Until it says that it is done, it is one that failed.
            let again = (now.plus_ms(pause_ms), (pause_ms * 2).min(AGAIN_MS.1));
            self.machines[place].engine.fences[number] = Fence { victim, next: Some(again), process };
        }
    }

    /// What the victim holds, before it is fenced; who holds nothing is not.
    pub fn is_named(&mut self, number: u64, place: usize, victim: usize) -> Next {
        let uuid = self.uuid(victim);
        if !self.processes[&number].absent.iter().any(|absence| absence.node == uuid) {
            return Next::Fail("it is back");
        }
        if self.lives_to_cut(number, place, victim).is_empty() {
            return self.first(number, vec![Do::Duties]);
        }
        self.first(number, vec![Do::Question(victim)])
    }

    /// The lives of it by which it holds something that may be taken only when it is off.
    fn lives_to_cut(&mut self, number: u64, place: usize, victim: usize) -> Vec<Incarnation> {
        let uuid = self.uuid(victim);
        let duties = self.all_duties(number, place, &[uuid]);
        let life = |(_, duty): &(usize, Duty)| match duty {
            Duty::Fence(node, life) if *node == uuid => Some(*life),
            _ => None,
        };
        duties.iter().filter_map(life).collect()
    }

    /// It does not answer, or nobody asks: who has agents cuts its power, in the term in which that is so.
    pub fn is_to_be_cut(&mut self, number: u64, place: usize, victim: usize) -> Next {
        let process = &self.processes[&number];
        if process.warrant.map(|warrant| warrant.lease.term()) != Some(process.asked_term) {
            return Next::Fail("this is another term");
        }
        let lives = self.lives_to_cut(number, place, victim);
        if lives.is_empty() {
            return self.first(number, vec![Do::Fenced(victim)]);
        }
        if !self.agents {
            return Next::Fail("it does not say that its gates are closed");
        }
        if let Some(process) = self.processes.get_mut(&number) {
            process.lives = lives;
        }
        self.first(number, vec![Do::Off(victim)])
    }

    /// `off`: does as it is told three times of five.
    pub fn is_told_off(&mut self, number: u64, place: usize, victim: usize) -> Next {
        self.witness.offs += 1;
        let now = self.now_of(place);
        let (works, comes_back) = match self.chance.below(20) {
            0..12 => (true, true),
            12..17 => (false, true),
            17 => (true, false),
            _ => (false, false),
        };
        self.tell(|| {
            format!("machine {victim} is to be off by machine {place}: {works}, told: {comes_back}")
        });
        if works && self.machines[victim].on {
            self.power_off(victim);
            let us = self.chance.between(300_000, 12_000_000);
            self.after(us, Event::PowerOn(victim));
        }
        if let Some(process) = self.processes.get_mut(&number) {
            process.off_done = comes_back.then_some(now);
        }
        let us = self.chance.between(20_000, 1_500_000);
        Next::Again(Do::Status(victim), us)
    }

    /// `status`, and what follows on it.
    pub fn tells_status(&mut self, number: u64, place: usize, victim: usize) -> Next {
        let now = self.now_of(place);
        let status = match self.machines[victim].on {
            _ if self.makes(Mistake::OffBelievedWithoutStatus) => Power::Off,
            _ if self.chance.per_mille(100) => Power::Unknown,
            true => Power::On,
            false => Power::Off,
        };
        let uuid = self.uuid(victim);
        let Some(process) = self.processes.get_mut(&number) else { return Next::Go };
        let off_done = process.off_done;
        let receipt = |life| Receipt {
            victim: uuid,
            incarnation: life,
            agent: AgentName::of("fence_sim"),
            off_done,
            status_asked: now,
            status,
            status_read: now,
        };
        process.receipts = std::mem::take(&mut process.lives).into_iter().map(receipt).collect();
        let receipts = process.receipts.clone();
        match self.worth(place, &receipts) {
            Prospect::ByWordAlone => Next::Fail("no agent proves it"),
            _ => {
                self.machines[place].proven.extend(receipts);
                self.first(number, vec![Do::Drained(victim)])
            }
        }
    }

    /// The latest that any of them says.
    fn worth(&self, place: usize, receipts: &[Receipt]) -> Prospect {
        let timing = self.configuration.timing;
        let one = receipts.iter().max_by_key(|receipt| receipt.status_read);
        one.map_or(Prospect::ByWordAlone, |receipt| evidence::off(receipt, &timing, self.now_of(place)))
    }

    /// Waits for what was under way, and then does what it owes to what it reads now.
    pub fn is_drained(&mut self, number: u64, place: usize, victim: usize) -> Next {
        let receipts = self.processes[&number].receipts.clone();
        match self.worth(place, &receipts) {
            Prospect::At(at) => {
                let ms = at.ms.saturating_sub(self.now_of(place).ms);
                Next::Again(Do::Drained(victim), ms * 1000)
            }
            _ => self.first(number, vec![Do::Look(vec![0, 1]), Do::Duties, Do::Fenced(victim)]),
        }
    }

    /// Not again in this term.
    pub fn is_fenced(&mut self, number: u64, place: usize, victim: usize) -> Next {
        let fences = &mut self.machines[place].engine.fences;
        let own = fences.iter_mut().find(|fence| fence.victim == victim && fence.process == number);
        own.into_iter().for_each(|fence| fence.next = None);
        Next::Go
    }
}
