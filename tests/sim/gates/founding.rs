//! How the two containers came about: by the product's own planner and protocol, before anything else happens.

use evms::base::dice::Dice;
use evms::base::epoch::Generation;
use evms::base::id::{ContainerId, DiskId, DiskNumber, Incarnation};
use evms::base::name::Name;
use evms::base::time::{BootTime, WallTime};
use evms::base::units::{Bytes, MIB};
use evms::engine::author::Planner;
use evms::engine::change::{Change, Step};
use evms::engine::guard::{self, Act, Place, Principal};
use evms::format::model::ContainerKind;
use evms::volume::commit::io::{Answer, Op};
use evms::volume::commit::{Me, Member};
use evms::volume::mistake::Rules;
use evms::volume::plan::{self, Asker};
use evms::volume::request::{CreateContainer, Machine, NewDisk, OwnerAsk};

use crate::gates::world::{PRIVATE, SHARED, World};

pub fn id(container: usize) -> ContainerId {
    ContainerId([0xc0 + container as u8; 16])
}

pub fn disk_id(disk: usize) -> DiskId {
    DiskId([disk as u8 + 1; 16])
}

/// The number that a disk has in its container.
pub fn disk_number(world: &World, disk: usize) -> DiskNumber {
    DiskNumber((disk % world.each) as u16 + 1)
}

pub fn members(world: &World, container: usize) -> Vec<Member> {
    let member = |disk: usize| Member {
        container: id(container),
        number: disk_number(world, disk),
        id: disk_id(disk),
        layout: world.layout.clone(),
    };
    world.gates_of(container).map(member).collect()
}

pub fn machine(world: &World, place: usize) -> Machine {
    Machine { node: world.machines[place].uuid, name: Name::parse(&format!("n{}", place + 1)).ok() }
}

pub fn asker(world: &World, place: usize, incarnation: Incarnation) -> Asker {
    let cluster = world.configuration.cluster;
    Asker {
        machine: machine(world, place),
        incarnation,
        cluster,
        at: WallTime { seconds: 1 },
        rules: Rules::ALL,
    }
}

/// Both containers, private to the first machine the one, shared by all the other.
pub fn found(world: &mut World) {
    for container in [PRIVATE, SHARED] {
        let asker = asker(world, 0, Incarnation([0xf0; 16]));
        let ask = CreateContainer {
            name: Name::parse(["data", "pool"][container]).unwrap(),
            kind: [ContainerKind::Private, ContainerKind::Shared][container],
            owner: OwnerAsk::Machine(asker.machine.clone()),
            cluster: world.configuration.cluster,
            template: false,
            extent: Bytes(MIB),
            disks: world.gates_of(container).map(|disk| new_disk(world, disk)).collect(),
        };
        let first = plan::create(&ask, id(container), &asker).unwrap();
        let me = Me {
            node: asker.machine.node,
            id: Some(world.machines[0].node),
            incarnation: asker.incarnation,
            cluster: world.configuration.cluster,
            configuration: Generation(world.configuration.generation),
        };
        let planner = Planner {
            principal: Principal { machine: asker.machine.clone(), warrant: None, refusal: None },
            asker,
            place: Place::Devices,
            act: Act::Change,
            request: None,
            joiners: Vec::new(),
            first: Some(first),
            dice: Dice::from_number(container as u64),
            words: None,
            already: None,
        };
        let mandate = guard::may_found(id(container), None);
        let members = members(world, container);
        carry_out(world, container, Change::found(members, mandate, me, planner, Rules::ALL));
        world.looks_at_all(container).unwrap();
    }
}

fn new_disk(world: &World, disk: usize) -> NewDisk {
    NewDisk {
        id: disk_id(disk),
        wwid: String::new(),
        logical_block: 512,
        data_start: world.layout.data().start,
        data_length: world.layout.data().length,
    }
}

fn carry_out(world: &mut World, container: usize, mut change: Change<Planner>) {
    loop {
        let asks = match change.poll(BootTime::default()) {
            Step::Io(asks, _) => asks,
            Step::Pause | Step::Wait(_) | Step::Still => continue,
            Step::Proof => {
                change.proof(true);
                continue;
            }
            Step::Over => break,
        };
        for ask in asks {
            let disk = world.gates_of(container).start + ask.lane;
            let answer = match &ask.op {
                Op::Read { at, length } | Op::BufferedRead { at, length } => {
                    Answer::Read(world.disks[disk].read(at.0, *length))
                }
                Op::Write { at, bytes, purpose } => {
                    world.disks[disk].write(at.0, bytes);
                    world.laws.wrote(container, (at.0, bytes), *purpose, &world.layout).unwrap();
                    Answer::Done
                }
                Op::Flush => Answer::Done,
            };
            change.handle(ask.lane, answer);
        }
    }
    assert!(matches!(change.finish().1, Some(Ok(_))), "the container was not founded");
}
