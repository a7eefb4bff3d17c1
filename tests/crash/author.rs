//! Machines of the crash model: each life does one task through the product's own `Change`, with a scripted author.

use std::collections::{BTreeMap, BTreeSet};

use evms::base::epoch::Order;
use evms::base::id::{ClusterId, DiskNumber};
use evms::base::name::Name;
use evms::base::small_set::SmallSet;
use evms::base::time::{BootTime, WallTime};
use evms::base::units::{Extents, Sectors};
use evms::engine::change::{Author, Change, Halted, Work};
use evms::engine::guard::{self, Mandate};
use evms::format::layout::Layout;
use evms::format::model::{
    self, ChangeKind, Container, ContainerKind, DiskState, DiskTable, Model, OldSet, Owner,
};
use evms::format::section::Section;
use evms::volume::choose::Chosen;
use evms::volume::commit::io::Ask;
use evms::volume::commit::{Member, Unopened};
use evms::volume::mistake::Rules;

use crate::world::{CONTAINER, Schedule, disk_id, joiner, me, node_uuid, poll, waited_ms};

/// What a life of a machine is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make the container on these disks.
    Found(Vec<u16>),
    /// Any change that leaves the disks alone.
    Bump,
    /// Take this disk in.
    Expand(u16),
    /// Let this disk go.
    Shrink(u16),
    /// Make this machine the owner.
    Own(u16),
    /// Make it nobody's.
    Deport,
    /// Make it this machine's.
    Import(u16),
    /// Count these disks as members again.
    Readmit,
}

#[derive(Clone)]
pub struct Script {
    node: u16,
    life: u64,
    task: Task,
    layout: Layout,
    pub told: Vec<Order>,
}

fn mandate() -> Mandate {
    guard::may_found(CONTAINER, None)
}

fn disk_entry(number: u16, layout: &Layout) -> model::Disk {
    model::Disk {
        id: disk_id(number),
        number: DiskNumber(number),
        state: DiskState::In,
        wwid: String::new(),
        data_start: layout.data().start,
        extents: Extents(6),
        logical_block: 512,
    }
}

/// Content that differs with every model, two blocks of it, so that a torn slot is a visible mixture.
fn padding(node: u16, life: u64, step: u64) -> Section {
    let seed = node as u64 * 1_000_003 + life * 101 + step;
    let bytes = (0..4200u64).map(|place| (seed.wrapping_mul(place + 7) >> 3) as u8).collect();
    Section { kind: 900, version: 1, flags: 0, bytes }
}

pub fn first_model(numbers: &[u16], layout: &Layout) -> Model {
    let disks = numbers.iter().map(|&number| disk_entry(number, layout)).collect();
    Model {
        container: Container {
            id: CONTAINER,
            name: Name::parse("data").unwrap(),
            kind: ContainerKind::Private,
            owner: Some(Owner { node: node_uuid(1), name: None }),
            home: None,
            cluster: ClusterId::NONE,
            extent: Sectors(2048),
            template: false,
            suspended: false,
            holders: Vec::new(),
            created: WallTime::default(),
        },
        table: DiskTable { disks, first: DiskNumber(numbers[0]), old_set: None, next_number: 100 },
        regions: Vec::new(),
        volumes: Vec::new(),
        freed: Vec::new(),
        change: model::Change {
            kind: ChangeKind::Create,
            text: "create".into(),
            by: None,
            at: WallTime::default(),
        },
        deeds: Vec::new(),
        unknown: vec![padding(0, 0, 0)],
        read_only: false,
    }
}

fn old_set(model: &Model) -> OldSet {
    let members = model.table.disks.iter().filter(|disk| disk.is_member()).map(|disk| disk.number);
    OldSet { disks: members.collect(), first: model.table.first }
}

impl Author for Script {
    type Refusal = &'static str;

    /// Every machine here outbids whoever is at it: the worst that may come.
    fn hurries(&self) -> bool {
        true
    }

    fn open(&mut self, found: Option<&Chosen>, _: Order) -> Result<(Mandate, Model), &'static str> {
        let mut model = match (found, &self.task) {
            (None, Task::Found(numbers)) => first_model(numbers, &self.layout),
            (Some(chosen), _) => chosen.model.clone(),
            (None, _) => return Err("nothing found"),
        };
        model.unknown = vec![padding(self.node, self.life, 1)];
        Ok((mandate(), model))
    }

    fn change(
        &mut self,
        model: &Model,
        at: Order,
        reached: &SmallSet<DiskNumber>,
    ) -> Result<Option<Work>, &'static str> {
        self.told.push(at);
        let mut next = model.clone();
        next.unknown = vec![padding(self.node, self.life, 2)];
        next.change.kind = ChangeKind::Change;
        for disk in next.table.disks.iter_mut().filter(|disk| disk.state == DiskState::In) {
            if !reached.contains(&disk.number) {
                disk.state = DiskState::AbsentSince(at.generation);
            }
        }
        let mut join = Vec::new();
        match &self.task {
            Task::Found(_) => return Ok(None),
            Task::Bump => (),
            Task::Own(node) | Task::Import(node) => {
                next.container.kind = ContainerKind::Private;
                next.container.owner = Some(Owner { node: node_uuid(*node), name: None });
            }
            Task::Deport => {
                next.container.kind = ContainerKind::Deported;
                next.container.owner = None;
            }
            Task::Readmit => {
                for disk in next.table.disks.iter_mut().filter(|disk| reached.contains(&disk.number)) {
                    if matches!(disk.state, DiskState::AbsentSince(_)) {
                        disk.state = DiskState::In;
                    }
                }
            }
            Task::Expand(number) => {
                if next.disk(DiskNumber(*number)).is_some() {
                    return Ok(None);
                }
                next.table.old_set = Some(old_set(model));
                next.table.disks.push(disk_entry(*number, &self.layout));
                join.push(joiner(*number, &self.layout));
            }
            Task::Shrink(number) => {
                let disk =
                    next.table.disks.iter_mut().find(|disk| disk.number.0 == *number && disk.is_member());
                let Some(disk) =
                    disk.filter(|_| model.table.disks.iter().filter(|disk| disk.is_member()).count() > 1)
                else {
                    return Ok(None);
                };
                disk.state = DiskState::Released(at.generation);
                next.table.old_set = Some(old_set(model));
                if let Some(first) = next.table.disks.iter().find(|disk| disk.is_member()) {
                    next.table.first = first.number;
                }
            }
        }
        Ok(Some(Work { model: next, join }))
    }
}

/// One life of one machine.
#[derive(Clone)]
pub struct Actor {
    pub node: u16,
    pub present: Vec<u16>,
    pub change: Change<Script>,
    lanes: Vec<u16>,
    named: BTreeSet<u16>,
    waiting: BTreeMap<usize, Ask>,
    last_lane: usize,
    /// Its clock: what it was told to let pass has passed.
    pub now: BootTime,
    told: usize,
    over: bool,
    done_told: bool,
}

impl Actor {
    pub fn new(
        node: u16,
        life: u64,
        task: Task,
        members: Vec<Member>,
        present: Vec<u16>,
        layout: &Layout,
        rules: Rules,
    ) -> Actor {
        let script = Script { node, life, task: task.clone(), layout: layout.clone(), told: Vec::new() };
        let mut lanes = members.iter().map(|member| member.number.0).collect::<Vec<_>>();
        let mut named = BTreeSet::new();
        if let Task::Expand(number) = task {
            lanes.push(number);
            named.insert(number);
        }
        if let Task::Shrink(number) = task {
            named.insert(number);
        }
        // Finishing what a dead predecessor began may wipe the disk that it released.
        named.extend(lanes.iter().copied().filter(|_| !matches!(task, Task::Found(_))));
        let who = me(node, life);
        let change = match task {
            Task::Found(_) => Change::found(members, mandate(), who, script, rules),
            _ => Change::new(members, mandate(), who, script, true, rules),
        };
        Actor {
            node,
            present,
            change,
            lanes,
            named,
            waiting: BTreeMap::new(),
            last_lane: usize::MAX,
            now: BootTime::default(),
            told: 0,
            over: false,
            done_told: false,
        }
    }

    pub fn disk_of_lane(&self, lane: usize) -> Option<u16> {
        self.lanes.get(lane).copied()
    }

    pub fn may_label(&self, number: u16) -> bool {
        self.named.contains(&number)
    }

    /// Operations that are out and have not landed.
    pub fn waiting(&mut self) -> Vec<Ask> {
        while !self.over && self.waiting.is_empty() {
            match self.poll() {
                Some(asks) => self.waiting.extend(asks.into_iter().map(|ask| (ask.lane, ask))),
                None => self.over = true,
            }
        }
        // Answers may have made further lanes ready.
        if !self.over
            && let Some(asks) = self.poll()
        {
            self.waiting.extend(asks.into_iter().map(|ask| (ask.lane, ask)));
        }
        self.waiting.values().cloned().collect()
    }

    fn poll(&mut self) -> Option<Vec<Ask>> {
        let step = self.change.poll(self.now);
        self.now = self.now.plus_ms(waited_ms(&step));
        poll(step)
    }

    /// The next operation to land, by the schedule.
    pub fn next_ask(&mut self, order: Schedule) -> Option<Ask> {
        let asks = self.waiting();
        let ask = match order {
            Schedule::Breadth => {
                let after = asks.iter().find(|ask| self.last_lane != usize::MAX && ask.lane > self.last_lane);
                after.or(asks.first())
            }
            Schedule::Depth => asks.first(),
            Schedule::Reverse => asks.last(),
        }?
        .clone();
        self.take(&ask);
        Some(ask)
    }

    pub fn take(&mut self, ask: &Ask) {
        self.last_lane = ask.lane;
        self.waiting.remove(&ask.lane);
    }

    pub fn new_acks(&mut self) -> Vec<Order> {
        let told = &self.change.author().told;
        let mut new = told[self.told..].to_vec();
        self.told = told.len();
        if self.over && !self.done_told {
            self.done_told = true;
            if let (_, Some(Ok(done))) = self.change.clone().finish() {
                new.push(done.order);
            }
        }
        new.dedup();
        new
    }

    pub fn outcome(&self) -> Result<Order, Option<Halted<&'static str>>> {
        match self.change.clone().finish().1 {
            Some(Ok(done)) => Ok(done.order),
            Some(Err(why)) => Err(Some(why)),
            None => Err(None),
        }
    }

    /// Was it outbid by somebody else? Then another try is due.
    pub fn outbid(&self) -> bool {
        matches!(self.outcome(), Err(Some(Halted::Superseded(_) | Halted::Unopened(Unopened::Superseded(_)))))
    }
}
