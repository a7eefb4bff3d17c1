//! Asking over disks, step by step as `run::daemon::fencing`, `run::fencing` and `run::inquiry` have it: who is absent and owns the private
//! container is asked there whether its gates are closed, listened to for a while, and what it answers of is taken when what was under
//! way is over, all in one term of the lease.

use evms::base::time::BootTime;
use evms::engine::guard::duty::{self, Answered, Duty};
use evms::engine::guard::evidence::{self, Question};
use evms::format::disk_beat::{DiskBeat, DiskQuestion, Nonce, Words};

use crate::gates::errand::{Act, Asker, Word};
use crate::gates::founding;
use crate::gates::mistake::Mistake;
use crate::gates::process::{Do, Next};
use crate::gates::world::{PRIVATE, World};

/// Three beats.
const LISTENS_US: u64 = 3_000_000;
const LOOK_US: u64 = 200_000;

impl World {
    /// Puts the question on every disk, where a majority of them says that the victim owns the container and has gates of it.
    pub fn asks_over_disks(&mut self, number: u64, place: usize, victim: usize) -> Next {
        let (uuid, asked) = (self.uuid(victim), self.now_of(place));
        let process = &self.processes[&number];
        let (Some(warrant), Some(chosen)) = (process.warrant, process.seen[PRIVATE].clone()) else {
            return Next::Fail("nothing read");
        };
        if let Some(process) = self.processes.get_mut(&number) {
            process.asked_term = warrant.lease.term();
        }
        let container = &chosen.model.container;
        let is_its = container.owner.as_ref().is_some_and(|owner| owner.node == uuid);
        let holder = container.holder(uuid).filter(|_| chosen.majority_read && is_its);
        let Some(incarnation) = holder.map(|holder| holder.incarnation).filter(|_| self.asks) else {
            return self.first(number, vec![Do::Cut(victim)]);
        };
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.chance.number().to_le_bytes());
        let (nonce, container) = (Nonce(nonce), founding::id(PRIVATE));
        let question = Question { victim: uuid, incarnation, container, nonce, asked };
        let Some(process) = self.processes.get_mut(&number) else { return Next::Go };
        process.question = Some(question);
        let (id, cluster) = (warrant.node, warrant.cluster);
        let said = DiskQuestion { id, cluster, container, asked: uuid, incarnation, nonce };
        for disk in self.gates_of(PRIVATE) {
            let word = Word::Question(said.clone());
            self.begin(place, disk, Act::Say(Asker::Process(number), word));
        }
        self.first(number, vec![Do::Listen(victim, self.now_us + LISTENS_US)])
    }

    /// Until it is answered, the time is over, or the lease.
    pub fn listens(&mut self, number: u64, place: usize, victim: usize, until_us: u64) -> Next {
        let process = &self.processes[&number];
        if !process.answers.is_empty() {
            return self.first(number, vec![Do::Answered(victim, 0)]);
        }
        let leased = self.reign_of(place).covers(process.asked_term, self.now_of(place));
        if self.now_us >= until_us || !leased {
            return self.first(number, vec![Do::Ask(0), Do::Look(vec![0, 1]), Do::Cut(victim)]);
        }
        for disk in self.gates_of(PRIVATE) {
            let process = self.processes.get_mut(&number);
            if process.is_some_and(|process| process.listens.insert(disk)) {
                self.begin(place, disk, Act::Hear(Asker::Process(number)));
            }
        }
        Next::Again(Do::Listen(victim, until_us), LOOK_US)
    }

    /// A disk has told what is said on it.
    pub fn asker_heard(&mut self, number: u64, disk: usize, words: Option<Words>) {
        let any_counts = self.makes(Mistake::AnyAnswerCounts);
        let Some(process) = self.processes.get(&number) else { return };
        let (place, absent) = (process.machine, process.absent.clone());
        let now = self.now_of(place);
        let Some(process) = self.processes.get_mut(&number) else { return };
        process.listens.remove(&disk);
        let Some(question) = process.question else { return };
        let worth = |beat: &DiskBeat| {
            let nonce = beat.shut.first().filter(|_| any_counts).copied().unwrap_or(question.nonce);
            let question = Question { nonce, ..question };
            absent.iter().find_map(|absence| evidence::shut(&question, beat, *absence))
        };
        let found = words.iter().flat_map(|words| &words.beats).find_map(worth);
        if let Some(evidence) = found.filter(|_| process.answers.is_empty()) {
            process.answers.push(Answered { container: question.container, evidence, read: now });
            self.tell(|| format!("process {number} reads on disk {disk} that the gates are closed"));
        }
    }

    /// Waits for what the victim had under way, and the second time for those who see more disks, and reads everything anew.
    pub fn waits_for_answered(&mut self, number: u64, place: usize, victim: usize, round: u32) -> Next {
        let timing = self.configuration.timing;
        let read = self.processes[&number].answers.iter().map(|answer| answer.read).max().unwrap_or_default();
        let waits_ms = u64::from(round) * duty::RANK_MS * self.machines.len() as u64;
        let at = read.plus_ms(timing.stopped_ms(0)).plus_ms(waits_ms);
        let left_ms = at.ms.saturating_sub(self.now_of(place).ms);
        if left_ms > 0 {
            return Next::Again(Do::Answered(victim, round), left_ms * 1000);
        }
        self.first(number, vec![Do::Ask(0), Do::Look(vec![0, 1]), Do::TakeAnswered(victim, round)])
    }

    /// Takes that of which it said so, in the term in which it was asked.
    pub fn takes_answered(&mut self, number: u64, place: usize, victim: usize, round: u32) -> Next {
        let uuid = self.uuid(victim);
        let outlives = self.makes(Mistake::AnswerOutlivesTerm);
        let Some(process) = self.processes.get_mut(&number) else { return Next::Go };
        let absence = process.absent.iter().find(|absence| absence.node == uuid).copied();
        let term = process.warrant.map(|warrant| warrant.lease.term());
        let Some(absence) = absence.filter(|_| term == Some(process.asked_term) || outlives) else {
            return Next::Fail("it is back, or this is another term");
        };
        if outlives {
            let since =
                |answer: &mut Answered| answer.read = BootTime { ms: answer.read.ms.max(absence.since.ms) };
            process.answers.iter_mut().for_each(since);
        }
        let mut todo = Vec::new();
        for (container, duty) in self.all_duties(number, place, &[]) {
            let of_it = match &duty {
                Duty::Take(_, evidence) | Duty::Expel(evidence) => evidence.victim() == uuid,
                _ => false,
            };
            if of_it {
                self.tell(|| {
                    format!(
                        "process {number} on machine {place}: container {container}: {duty:?}, as it was told"
                    )
                });
                self.witness.takes += u64::from(container == PRIVATE);
                todo.extend(self.fulfils(container, duty));
                todo.push(Do::Mark);
            }
        }
        match round {
            0 => todo.push(Do::Answered(victim, 1)),
            _ => todo.extend([Do::Look(vec![0, 1]), Do::Cut(victim)]),
        }
        self.first(number, todo)
    }
}
