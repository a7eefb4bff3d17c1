//! Disks, machines and the laws in one value that can be copied at every crash point.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use evms::base::bits::Features;
use evms::base::epoch::Generation;
use evms::base::id::{ClusterId, ContainerId, DiskId, DiskNumber, Incarnation, NodeId, NodeUuid};
use evms::base::time::WallTime;
use evms::base::units::{Bytes, KIB, MIB};
use evms::engine::change::{Joiner, Step};
use evms::format::label::Label;
use evms::format::layout::{AreaKind, End, HEAD_LABEL_AT, Layout, Recipe};
use evms::volume::commit::io::{Answer, Ask, Op, Purpose};
use evms::volume::commit::{Me, Member};

use crate::author::{Actor, Task};
use crate::disk::Disk;
use crate::laws::{Broken, Laws};

pub const CONTAINER: ContainerId = ContainerId([0xc0; 16]);
pub const SIZE: Bytes = Bytes(8 * MIB);
/// Machines in the model: two and a late one.
pub const NODES: u16 = 3;

/// A layout as small as the format allows, so that every crash point can be tried.
pub fn layout() -> Layout {
    let recipe = Recipe {
        node_blocks: Bytes(u64::from(NODES) * 8 * KIB),
        proof: Bytes(4 * KIB),
        drill: Bytes(4 * KIB),
        slot: Bytes(16 * KIB),
        history: Bytes(48 * KIB),
        end: Bytes(MIB),
    };
    Layout::make(SIZE, &recipe).unwrap()
}

pub fn disk_id(number: u16) -> DiskId {
    DiskId([number as u8; 16])
}

pub fn label(number: u16, layout: &Layout) -> Label {
    Label {
        features: Features::default(),
        container: CONTAINER,
        disk: disk_id(number),
        number: DiskNumber(number),
        logical_block: 512,
        nodes: NODES,
        size: SIZE.whole_sectors(),
        created: WallTime::default(),
        wwid: String::new(),
        areas: layout.areas().to_vec(),
        extension: Vec::new(),
    }
}

pub fn member(number: u16, layout: &Layout) -> Member {
    Member { container: CONTAINER, number: DiskNumber(number), id: disk_id(number), layout: layout.clone() }
}

pub fn joiner(number: u16, layout: &Layout) -> Joiner {
    Joiner { member: member(number, layout), label: label(number, layout), size: SIZE }
}

pub fn me(node: u16, life: u64) -> Me {
    let mut incarnation = [node as u8; 16];
    incarnation[8..].copy_from_slice(&life.to_le_bytes());
    Me {
        node: node_uuid(node),
        id: Some(NodeId(node)),
        incarnation: Incarnation(incarnation),
        cluster: ClusterId::NONE,
        configuration: Generation::default(),
    }
}

pub fn node_uuid(node: u16) -> NodeUuid {
    NodeUuid([0x40 + node as u8; 16])
}

#[derive(Clone)]
pub struct World {
    pub layout: Layout,
    pub disks: BTreeMap<u16, Disk>,
    pub laws: Laws,
    pub lives: u64,
    /// What each machine's page cache would answer; only a deliberate mistake reads it.
    caches: BTreeMap<(u16, u16, u64), Vec<u8>>,
}

impl World {
    /// Blank disks 1..=count.
    pub fn new(count: u16) -> World {
        let disks = (1..=count).map(|number| (number, Disk::default())).collect();
        World { layout: layout(), disks, laws: Laws::default(), lives: 0, caches: BTreeMap::new() }
    }

    /// Labels on the disks that are present, as discovery would find them.
    pub fn discover(&self, present: &[u16]) -> Vec<Member> {
        let tail = self.layout.area(AreaKind::Label, End::Secondary).start_bytes().0;
        let labelled = |number: &u16| {
            let disk = &self.disks[number];
            let front = Label::decode(&disk.read(HEAD_LABEL_AT.0, 4096), End::Primary);
            let label = front.or_else(|_| Label::decode(&disk.read(tail, 4096), End::Secondary)).ok()?;
            Some(member(label.number.0, &self.layout))
        };
        present.iter().filter_map(labelled).collect()
    }

    /// Labels disks without further ado: where a scenario starts.
    pub fn label_disks(&mut self, numbers: &[u16]) {
        let tail = self.layout.area(AreaKind::Label, End::Secondary).start_bytes().0;
        for &number in numbers {
            let label = label(number, &self.layout);
            let disk = self.disks.get_mut(&number).unwrap();
            disk.write(HEAD_LABEL_AT.0, &label.encode(End::Primary).unwrap());
            disk.write(tail, &label.encode(End::Secondary).unwrap());
            disk.flush();
        }
    }

    /// A new life of a machine, about to do a task with the disks that it sees.
    pub fn actor(
        &mut self,
        node: u16,
        task: Task,
        present: &[u16],
        rules: evms::volume::mistake::Rules,
    ) -> Actor {
        self.lives += 1;
        Actor::new(node, self.lives, task, self.discover(present), present.to_vec(), &self.layout, rules)
    }

    /// Lets one operation of an actor land.
    pub fn execute(&mut self, actor: &mut Actor, ask: &Ask) -> Result<(), Broken> {
        let number = actor.disk_of_lane(ask.lane);
        let answer = match number.filter(|number| actor.present.contains(number)) {
            Some(number) => self.land(actor.node, number, actor, &ask.op, ask.lane)?,
            None => Answer::Failed,
        };
        actor.change.handle(ask.lane, answer);
        Ok(())
    }

    fn land(
        &mut self,
        node: u16,
        number: u16,
        actor: &Actor,
        op: &Op,
        lane: usize,
    ) -> Result<Answer, Broken> {
        let layout = &self.layout;
        let disk = self.disks.get_mut(&number).unwrap();
        Ok(match op {
            Op::Read { at, length } => Answer::Read(disk.read(at.0, *length)),
            Op::BufferedRead { at, length } => {
                let cached =
                    self.caches.entry((node, number, at.0)).or_insert_with(|| disk.read(at.0, *length));
                Answer::Read(cached.clone())
            }
            Op::Flush => {
                disk.flush();
                Answer::Done
            }
            Op::Write { at, bytes, purpose } => {
                self.laws.on_write(layout, at.0, bytes, *purpose)?;
                let labels = matches!(purpose, Purpose::Label | Purpose::Blank);
                if labels && !actor.may_label(number) {
                    return Err(Broken::L10NotNamed { purpose: *purpose, disk: lane });
                }
                disk.write(at.0, bytes);
                // A cache knows what its own machine wrote, and nothing of the others.
                let end = at.0 + bytes.len() as u64;
                let near = |cached: u64, length: u64| cached < end && at.0 < cached + length;
                self.caches.retain(|(n, d, cached), bytes| {
                    (*n, *d) != (node, number) || !near(*cached, bytes.len() as u64)
                });
                Answer::Done
            }
        })
    }

    /// Runs an actor to its end, lanes in the order given, and takes its acknowledgement.
    pub fn run(&mut self, actor: &mut Actor, order: Schedule) -> Result<(), Broken> {
        while let Some(ask) = actor.next_ask(order) {
            self.execute(actor, &ask)?;
            self.take_acks(actor)?;
        }
        self.take_acks(actor)
    }

    /// Checks what an actor was told since the last look.
    pub fn take_acks(&mut self, actor: &mut Actor) -> Result<(), Broken> {
        for order in actor.new_acks() {
            self.laws.on_ack(order)?;
        }
        Ok(())
    }

    /// What is durable on all disks, and how much was acknowledged.
    pub fn fingerprint(&self) -> (u64, usize) {
        let mut hasher = DefaultHasher::new();
        for (number, disk) in &self.disks {
            number.hash(&mut hasher);
            disk.mark(&mut hasher);
        }
        (hasher.finish(), self.laws.acked.len())
    }

    pub fn numbers(&self) -> Vec<u16> {
        self.disks.keys().copied().collect()
    }
}

/// Which lane goes first when several could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// All lanes side by side.
    Breadth,
    /// One disk to its end, then the next.
    Depth,
    /// The same from the last disk.
    Reverse,
}

/// An actor's next step, by its change.
pub fn poll(step: Step) -> Option<Vec<Ask>> {
    match step {
        Step::Io(asks, _) => Some(asks),
        Step::Pause | Step::Wait(_) | Step::Still => Some(Vec::new()),
        // Nobody's view is asked for here.
        Step::Proof | Step::Over => None,
    }
}

/// How long that lets pass.
pub fn waited_ms(step: &Step) -> u64 {
    match step {
        Step::Wait(ms) => *ms,
        Step::Pause => 2000,
        _ => 0,
    }
}

/// One operation in few words, for a trace.
pub fn op_words(op: &Op) -> String {
    match op {
        Op::Write { at, bytes, purpose } => match evms::format::slot::SlotHeader::decode(bytes) {
            Ok(header) => format!("write {purpose:?} at {} {:?} {:?}", at.0, header.order, header.hash),
            Err(_) => format!("write {purpose:?} at {} {}", at.0, bytes.len()),
        },
        Op::Read { at, length } | Op::BufferedRead { at, length } => format!("read {} {length}", at.0),
        Op::Flush => "flush".into(),
    }
}
