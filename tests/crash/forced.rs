//! What the protocol cannot cause and must survive all the same: two contents under one order, put there by force
//! (F44), and extents that another holder may still write to (safety 2.7).

use evms::base::dice::Dice;
use evms::base::epoch::{Epoch, Generation, Order};
use evms::base::id::{ClusterId, ContainerId, DiskId, Incarnation};
use evms::base::name::Name;
use evms::base::size::Size;
use evms::base::time::WallTime;
use evms::base::units::{Bytes, MIB, Sectors};
use evms::format::layout::{End, SlotIndex};
use evms::format::model::{ContainerKind, Holder, Model};
use evms::format::slot::SlotImage;
use evms::volume::mistake::Rules;
use evms::volume::plan::{self, Asker, Outcome};
use evms::volume::request::{CreateContainer, Machine, NewDisk, OwnerAsk, Request};

use crate::author::Task;
use crate::laws::Broken;
use crate::recover::attempt;
use crate::world::{Schedule, World, node_uuid};

/// One disk is given another content under the order of its newest model; nobody may choose between the two.
pub fn split_brain(rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    for count in 2..=4u16 {
        for forged in 1..=count {
            *cases += 1;
            let mut world = World::new(count);
            let members = (1..=count).collect::<Vec<_>>();
            world.label_disks(&members);
            let mut actor = world.actor(1, Task::Found(members.clone()), &members, rules);
            world.run(&mut actor, Schedule::Breadth)?;
            forge(&mut world, forged);
            if attempt(&mut world, 2, &Task::Bump, &members, rules)? {
                return Err(Broken::L7Torn(format!(
                    "of two contents one was chosen; disk {forged} of {count} was forged"
                )));
            }
        }
    }
    Ok(())
}

fn forge(world: &mut World, number: u16) {
    for end in End::BOTH {
        let area = world.layout.slot(SlotIndex::Zero, end);
        let disk = world.disks.get_mut(&number).unwrap();
        let copy = SlotImage::decode(&disk.read(area.start_bytes().0, area.length_bytes().0));
        // Under some mistakes an end was never written.
        let Ok(image) = copy else { continue };
        let mut model = Model::decode(&image.body).unwrap();
        model.change.text = "by force".into();
        let forged = SlotImage::new(image.header, model.encode().unwrap()).unwrap();
        disk.write(area.start_bytes().0, &forged.encode());
        disk.flush();
    }
}

fn asker(node: u16, rules: Rules) -> Asker {
    let machine = Machine { node: node_uuid(node), name: None };
    Asker {
        machine,
        incarnation: Incarnation([node as u8; 16]),
        cluster: ClusterId::NONE,
        at: WallTime::default(),
        rules,
    }
}

fn shared_by_two(rules: Rules) -> Model {
    let disk = NewDisk {
        id: DiskId([1; 16]),
        wwid: String::new(),
        logical_block: 512,
        data_start: Sectors(8192),
        data_length: Sectors(32 * MIB / 512),
    };
    let ask = CreateContainer {
        name: Name::parse("data").unwrap(),
        kind: ContainerKind::Shared,
        cluster: evms::base::id::ClusterId::NONE,
        owner: OwnerAsk::Unclaimed,
        template: false,
        extent: Bytes(4 * MIB),
        disks: vec![disk],
    };
    let mut model = plan::create(&ask, ContainerId([9; 16]), &asker(1, rules)).unwrap();
    for node in [1u16, 2] {
        let incarnation = Incarnation([node as u8; 16]);
        let confirmed = Generation(1);
        model.container.holders.push(Holder {
            node: node_uuid(node),
            incarnation,
            confirmed,
            expelled: false,
            watchdog_ms: 0,
        });
    }
    model
}

fn next(model: &Model, generation: u64, request: &Request, rules: Rules) -> Option<Model> {
    let at = Order { epoch: Epoch(1 << 16 | 1), generation: Generation(generation) };
    match plan::plan(model, at, request, &asker(1, rules), &mut Dice::from_number(generation)) {
        Ok(Outcome::Next(planned)) => Some(planned.model),
        Ok(Outcome::AlreadySo(_)) | Err(_) => None,
    }
}

/// The other holder has not confirmed the delete: its writes may still be under way, and nothing new may lie there.
pub fn quarantine(rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let name = |text: &str| Name::parse(text).unwrap();
    let all = |text: &str| Request::VolumeCreate {
        name: name(text),
        size: Size::PercentFree(100),
        stripes: None,
        stripe_bytes: None,
        on: Vec::new(),
    };
    let fail = |words: &str| Err(Broken::GivenOutEarly(words.into()));
    *cases += 1;
    let Some(full) = next(&shared_by_two(rules), 1, &all("old"), rules) else {
        return fail("no first volume");
    };
    let Some(mut freed) = next(&full, 2, &Request::VolumeDelete { name: name("old") }, rules) else {
        return fail("no delete");
    };
    // Node 1 runs the tables of generation 3, node 2 still those of 2 or earlier.
    if next(&freed, 3, &all("new"), rules).is_some() {
        return fail("extents were given out again while node 2 may still write to them");
    }
    freed.container.holders.iter_mut().for_each(|holder| holder.confirmed = Generation(3));
    if next(&freed, 3, &all("new"), rules).is_none() {
        return fail("extents stay lost although everybody confirmed");
    }
    Ok(())
}
