//! Why a node cannot write to a container any more. Whoever takes one from a node, or has it counted out of one that is shared, brings
//! such a value, and there is no other way to one than the functions of this file (safety 5.1, law L8). It speaks of what the
//! container said when it was judged, and so is held against the container once more when that is opened.

use crate::base::id::{ContainerId, Incarnation, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::timing::Timing;
use crate::format::disk_beat::{DiskBeat, Nonce};
use crate::format::model::Container;

/// What it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// An administrator swore it: good for what that word is good for, against a machine that still runs nothing. Of the life that the
    /// container named then, where it named any: who is switched on again is another one.
    Word { life: Option<Incarnation> },
    /// It has no gates of the container, and can open none without a lease.
    NoGates,
    /// This life of it had a watchdog, which has stopped it by now if its gates did not close. Good for machines whose clocks
    /// go; not for one that stood still as a whole and goes on (grade C, safety 5.1).
    Watchdog { incarnation: Incarnation, ms: u32 },
    /// A fence agent cut its power, and said afterwards that it is off: good against all that this life of it could do, a clock that
    /// stood still included. Of another life it tells nothing: who was off may have been started again.
    Off { incarnation: Incarnation, agent: AgentName },
    /// It said so itself, over a disk of the container, when it was asked without a lease of its own: nothing passes its gates. Good
    /// against a clock of its own that stood still too, for gates do not open by themselves.
    Shut { incarnation: Incarnation },
}

/// Bytes of an agent's name that evidence remembers.
const AGENT_BYTES_MAX: usize = 40;

/// What a fence agent is called, without the folders that it is in; short enough to go where the evidence goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentName {
    bytes: [u8; AGENT_BYTES_MAX],
    length: usize,
}

impl AgentName {
    /// Of this program.
    pub fn of(program: &str) -> AgentName {
        let name = program.rsplit('/').next().unwrap_or_default();
        let mut agent = AgentName { bytes: [0; AGENT_BYTES_MAX], length: 0 };
        for (place, byte) in agent.bytes.iter_mut().zip(name.bytes().filter(u8::is_ascii_graphic)) {
            *place = byte;
            agent.length += 1;
        }
        agent
    }

    /// For people.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// What a fence agent says of a node's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It is on.
    On,
    /// It is off.
    Off,
    /// It could not tell.
    Unknown,
}

/// What happened when a fence agent was asked to cut a node's power, as whoever asked it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose power.
    pub victim: NodeUuid,
    /// The life of it that the container named before the agent was called for the first time.
    pub incarnation: Incarnation,
    /// Who was asked.
    pub agent: AgentName,
    /// When its `off` came back and said that it was done; nothing when it did not say so.
    pub off_done: Option<BootTime>,
    /// When its `status` was called, by itself.
    pub status_asked: BootTime,
    /// What that said.
    pub status: Power,
    /// When it said so.
    pub status_read: BootTime,
}

/// A question to a node that is silent on the network, as it was put on the container's disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who is asked.
    pub victim: NodeUuid,
    /// The life of it that the container names.
    pub incarnation: Incarnation,
    /// The container.
    pub container: ContainerId,
    /// What no other question has.
    pub nonce: Nonce,
    /// When it was made.
    pub asked: BootTime,
}

/// Evidence against one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    victim: NodeUuid,
    ground: Ground,
}

impl Evidence {
    /// The machine that cannot write any more.
    pub fn victim(self) -> NodeUuid {
        self.victim
    }

    /// Which life of the victim writes no model any more: its machine was off, or it had no lease for so long that every permit of it is
    /// over and what it had under way has landed. One whose gates are closed may have a lease, and so may one who had no gates, or who is
    /// sworn to be off: a command of it may stand still.
    pub fn past(self) -> Option<(NodeUuid, Incarnation)> {
        match self.ground {
            Ground::Watchdog { incarnation, .. } | Ground::Off { incarnation, .. } => {
                Some((self.victim, incarnation))
            }
            Ground::NoGates | Ground::Shut { .. } | Ground::Word { .. } => None,
        }
    }

    /// Is it enough against all that this container says of the victim? It may have been admitted anew since it was judged.
    pub fn covers(self, container: &Container) -> bool {
        match (container.holder(self.victim), self.ground) {
            (None, _) => true,
            (Some(holder), Ground::Word { life }) => life == Some(holder.incarnation),
            (Some(_), Ground::NoGates) => false,
            (Some(holder), Ground::Watchdog { incarnation, ms }) => {
                holder.incarnation == incarnation && (1..=ms).contains(&holder.watchdog_ms)
            }
            (Some(holder), Ground::Off { incarnation, .. } | Ground::Shut { incarnation }) => {
                holder.incarnation == incarnation
            }
        }
    }

    /// What it rests on, as the end of a sentence.
    pub fn in_words(self) -> String {
        match self.ground {
            Ground::Word { .. } => "by an administrator's word that it is off".into(),
            Ground::NoGates => "by its absence, and it had no gates of it".into(),
            Ground::Shut { .. } => "by its own word, over a disk, that its gates are closed".into(),
            Ground::Watchdog { ms, .. } => {
                format!("by its absence, and its watchdog of {ms} ms is over")
            }
            Ground::Off { agent, .. } => {
                format!("by the fence agent {}, whose status read off", agent.as_str())
            }
        }
    }
}

/// What has to be sworn, word by word: it names the machine, so that it cannot be said without looking which one it is.
pub fn oath(owner: &str) -> String {
    format!("{owner} is off")
}

/// An administrator's word against the machine that people call so, about a container. Nothing when it is not the whole of [`oath`].
pub fn word(container: &Container, victim: NodeUuid, called: &str, sworn: &str) -> Option<Evidence> {
    let life = container.holder(victim).map(|holder| holder.incarnation);
    (sworn.trim() == oath(called)).then_some(Evidence { victim, ground: Ground::Word { life } })
}

/// What a fence agent's run is worth: nothing but a `status` that was called when `off` had come back and was done, and reads off (safety 5.5). What was under way to the disks when the power went is waited for (a machine's queue may be in a switch).
pub fn off(receipt: &Receipt, timing: &Timing, now: BootTime) -> Prospect {
    let Receipt { victim, incarnation, agent, off_done, status_asked, status, status_read } = *receipt;
    let in_order = off_done.is_some_and(|returned| returned <= status_asked && status_asked <= status_read);
    if status != Power::Off || !in_order {
        return Prospect::ByWordAlone;
    }
    let at = status_read.plus_ms(timing.stopped_ms(0));
    if now < at {
        return Prospect::At(at);
    }
    Prospect::Now(Evidence { victim, ground: Ground::Off { incarnation, agent } })
}

/// What a beat on a disk of the container is worth as an answer. Only one that was made behind the question counts, and so repeats what no
/// other question has; and only a question that was made in this absence: from then on, for as long as this node has its lease, the one
/// who answers has none, and opens nothing (safety 5.1).
pub fn shut(question: &Question, answer: &DiskBeat, absence: Absence) -> Option<Evidence> {
    let Question { victim, incarnation, container, nonce, asked } = *question;
    let of_this = (answer.node, answer.incarnation, answer.container) == (victim, incarnation, container);
    let in_this_absence = absence.node == victim && absence.since <= asked;
    let answers = of_this && in_this_absence && answer.shut.contains(&nonce);
    answers.then_some(Evidence { victim, ground: Ground::Shut { incarnation } })
}

/// A node that is not in the view of this one, as long as this one's lease goes on: it has no lease itself. For whoever gave it the
/// last echo kept his promise before this node was quorate without it (safety 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Its machine.
    pub node: NodeUuid,
    /// Since when this node is quorate without it, without a break.
    pub since: BootTime,
}

/// What there is against a node that is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// This.
    Now(Evidence),
    /// Enough, from then on.
    At(BootTime),
    /// Nothing: it had gates, and no watchdog. Somebody has to swear.
    ByWordAlone,
}

impl Absence {
    /// Judges what there is against it for this container.
    pub fn against(self, container: &Container, timing: &Timing, now: BootTime) -> Prospect {
        let Absence { node: victim, since } = self;
        let Some(holder) = container.holder(victim) else {
            return Prospect::Now(Evidence { victim, ground: Ground::NoGates });
        };
        let ms = holder.watchdog_ms;
        if ms == 0 {
            return Prospect::ByWordAlone;
        }
        let at = since.plus_ms(timing.stopped_ms(ms.into()));
        if now < at {
            return Prospect::At(at);
        }
        let ground = Ground::Watchdog { incarnation: holder.incarnation, ms };
        Prospect::Now(Evidence { victim, ground })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{ClusterId, NodeId};
    use crate::format::model::Holder;
    use crate::volume::plan::fixture;

    const VICTIM: NodeUuid = NodeUuid([3; 16]);
    const ABSENT: Absence = Absence { node: VICTIM, since: BootTime { ms: 1000 } };

    fn held(watchdog_ms: u32, life: u8) -> Container {
        let mut container = fixture::container(&[10, 10]).container;
        let incarnation = Incarnation([life; 16]);
        let (confirmed, expelled) = Default::default();
        container.holders = vec![Holder { node: VICTIM, incarnation, confirmed, expelled, watchdog_ms }];
        container
    }

    fn judged(container: &Container, now: u64) -> Prospect {
        ABSENT.against(container, &Timing::default(), BootTime { ms: now })
    }

    #[test]
    fn a_word_is_the_whole_of_it() {
        let container = held(0, 7);
        assert_eq!(word(&container, VICTIM, "n1", " n1 is off\n").map(Evidence::victim), Some(VICTIM));
        for sworn in ["", "yes", "n1", "n2 is off", "n1 is of", "N1 IS OFF", "n1 is off?"] {
            assert_eq!(word(&container, VICTIM, "n1", sworn), None, "{sworn}");
        }
    }

    /// Safety 5.1 and 6: the lease is over when the absence begins; then the watchdog, twice, for its death feeds it; what is under way;
    /// and two clocks that are wrong by 1 %: (2 · 5000 + 2000) · 1.01 / 0.99 = 12242.4, rounded up, and a millisecond for each clock.
    #[test]
    fn a_watchdog_is_waited_for() {
        let container = held(5000, 7);
        assert_eq!(judged(&container, 1000), Prospect::At(BootTime { ms: 13_245 }));
        assert_eq!(judged(&container, 13_244), Prospect::At(BootTime { ms: 13_245 }));
        let Prospect::Now(evidence) = judged(&container, 13_245) else { panic!() };
        assert!(evidence.covers(&container));
        // Admitted anew meanwhile: in another life, or with a watchdog that bites later, or with none.
        assert!(!evidence.covers(&held(5000, 8)));
        assert!(!evidence.covers(&held(6000, 7)));
        assert!(!evidence.covers(&held(0, 7)));
    }

    #[test]
    fn who_has_no_watchdog_is_taken_from_by_word_alone() {
        let container = held(0, 7);
        assert_eq!(judged(&container, u64::MAX), Prospect::ByWordAlone);
        let evidence = word(&container, VICTIM, "n1", "n1 is off").unwrap();
        assert!(evidence.covers(&container));
        assert!(!evidence.covers(&held(0, 8)), "it was switched on again since");
        let mut unused = container.clone();
        unused.holders.clear();
        assert!(evidence.covers(&unused), "it has no gates any more");
        assert!(!word(&unused, VICTIM, "n1", "n1 is off").unwrap().covers(&container));
    }

    fn receipt(life: u8, off_done: Option<u64>, status: Power) -> Receipt {
        Receipt {
            victim: VICTIM,
            incarnation: Incarnation([life; 16]),
            agent: AgentName::of("/usr/sbin/fence_ipmilan"),
            off_done: off_done.map(|ms| BootTime { ms }),
            status_asked: BootTime { ms: 5000 },
            status,
            status_read: BootTime { ms: 5500 },
        }
    }

    fn cut(receipt: &Receipt, now: u64) -> Prospect {
        off(receipt, &Timing::default(), BootTime { ms: now })
    }

    /// Safety 5.5; and what is under way: 2000 ms by clocks that are wrong by 1 %: 2040.4, rounded up, and one for each clock.
    #[test]
    fn an_agents_word_is_proof_when_its_status_reads_off() {
        let proven = receipt(7, Some(4999), Power::Off);
        assert_eq!(cut(&proven, 5500), Prospect::At(BootTime { ms: 7543 }));
        assert_eq!(cut(&proven, 7542), Prospect::At(BootTime { ms: 7543 }));
        let Prospect::Now(evidence) = cut(&proven, 7543) else { panic!() };
        assert_eq!(evidence.victim(), VICTIM);
        assert!(evidence.in_words().contains("fence_ipmilan, whose status read off"));
        for watchdog_ms in [0, 5000, u32::MAX] {
            assert!(evidence.covers(&held(watchdog_ms, 7)), "whatever watches a machine that is off");
        }
        // Off, and started again, and admitted: that is another life.
        assert!(!evidence.covers(&held(5000, 8)));
        assert!(!evidence.covers(&held(0, 8)));
    }

    #[test]
    fn an_agents_word_without_that_is_none() {
        for status in [Power::On, Power::Unknown] {
            assert_eq!(cut(&receipt(7, Some(4999), status), u64::MAX), Prospect::ByWordAlone, "{status:?}");
        }
        // Killed while it was asked to; or asked how it is before it had done it.
        assert_eq!(cut(&receipt(7, None, Power::Off), u64::MAX), Prospect::ByWordAlone);
        assert_eq!(cut(&receipt(7, Some(5001), Power::Off), u64::MAX), Prospect::ByWordAlone);
    }

    #[test]
    fn an_agents_name_is_that_of_its_program() {
        for (program, name) in
            [("/opt/x/fence_pdu", "fence_pdu"), ("fence_pdu", "fence_pdu"), ("/", ""), ("", "")]
        {
            assert_eq!(AgentName::of(program).as_str(), name);
        }
        assert_eq!(AgentName::of(&"x".repeat(99)).as_str().len(), AGENT_BYTES_MAX);
        assert_eq!(AgentName::of("a\u{e9}b\n").as_str(), "ab");
    }

    /// Safety 5.1: closed gates hold; an answer is to this question, of this life, about this container, in this absence, or it is none.
    #[test]
    fn who_says_that_its_gates_are_closed_is_not_waited_for() {
        let question = Question {
            victim: VICTIM,
            incarnation: Incarnation([7; 16]),
            container: ContainerId([9; 16]),
            nonce: Nonce([1; 16]),
            asked: ABSENT.since,
        };
        let answer = DiskBeat {
            id: NodeId(3),
            node: VICTIM,
            cluster: ClusterId([5; 16]),
            container: question.container,
            incarnation: question.incarnation,
            counter: 1,
            shut: vec![Nonce([2; 16]), question.nonce],
        };
        let evidence = shut(&question, &answer, ABSENT).unwrap();
        assert!(evidence.covers(&held(0, 7)), "whether it has a watchdog or not");
        assert!(!evidence.covers(&held(5000, 8)), "another life of it");
        let early = Question { asked: BootTime { ms: ABSENT.since.ms - 1 }, ..question };
        assert_eq!(shut(&early, &answer, ABSENT), None);
        let other = Absence { node: NodeUuid([4; 16]), ..ABSENT };
        assert_eq!(shut(&question, &answer, other), None);
        for not in [
            DiskBeat { node: NodeUuid([4; 16]), ..answer.clone() },
            DiskBeat { incarnation: Incarnation([8; 16]), ..answer.clone() },
            DiskBeat { container: ContainerId([8; 16]), ..answer.clone() },
            DiskBeat { shut: vec![Nonce([2; 16])], ..answer.clone() },
            DiskBeat { shut: Vec::new(), ..answer.clone() },
        ] {
            assert_eq!(shut(&question, &not, ABSENT), None, "{not:?}");
        }
    }

    #[test]
    fn who_has_no_gates_is_not_waited_for() {
        let mut container = held(5000, 7);
        container.holders[0].expelled = true;
        let Prospect::Now(evidence) = judged(&container, 1000) else { panic!() };
        assert!(evidence.covers(&container));
        assert!(!evidence.covers(&held(5000, 7)), "it came back and was admitted meanwhile");
    }
}
