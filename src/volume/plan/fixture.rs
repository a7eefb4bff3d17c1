//! A container for tests: named `data`, private to `n1`, extents of 4 MiB.

use crate::base::dice::Dice;
use crate::base::epoch::{Epoch, Generation, Order};
use crate::base::id::{ClusterId, ContainerId, DiskId, Incarnation, NodeUuid};
use crate::base::name::Name;
use crate::base::size::Size;
use crate::base::time::WallTime;
use crate::base::units::{Bytes, MIB, Sectors};
use crate::format::model::{ContainerKind, Model};
use crate::volume::mistake::Rules;
use crate::volume::plan::{Asker, Outcome, create, plan};
use crate::volume::request::{CreateContainer, Machine, NewDisk, OwnerAsk, Request};

/// Sectors of an extent.
pub const EXTENT: u64 = 4 * MIB / 512;

/// A name.
pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Life `life` of node `n`.
pub fn asker(node: u8, life: u8) -> Asker {
    let machine = Machine { node: NodeUuid([node; 16]), name: Some(name(&format!("n{node}"))) };
    let cluster = ClusterId::NONE;
    Asker {
        machine,
        incarnation: Incarnation([life; 16]),
        cluster,
        at: WallTime { seconds: 1 },
        rules: Rules::ALL,
    }
}

/// This generation of the first epoch.
pub fn at(generation: u64) -> Order {
    Order { epoch: Epoch(1), generation: Generation(generation) }
}

/// A free disk with room for so many extents.
pub fn new_disk(id: u8, extents: u64) -> NewDisk {
    NewDisk {
        id: DiskId([id; 16]),
        wwid: format!("wwid-{id}"),
        logical_block: 512,
        data_start: Sectors(32_768),
        data_length: Sectors(extents * EXTENT + 7),
    }
}

/// A request to create `data` on disks of so many extents.
pub fn create_request(extents: &[u64]) -> CreateContainer {
    CreateContainer {
        name: name("data"),
        kind: ContainerKind::Private,
        cluster: crate::base::id::ClusterId::NONE,
        owner: OwnerAsk::Machine(asker(1, 1).machine),
        template: false,
        extent: Bytes(4 * MIB),
        disks: extents.iter().zip(1..).map(|(&extents, id)| new_disk(id, extents)).collect(),
    }
}

/// `data` on disks 1, 2, … of so many extents.
pub fn container(extents: &[u64]) -> Model {
    create(&create_request(extents), ContainerId([9; 16]), &asker(1, 1)).unwrap()
}

/// Asks at generation 1 and takes the next model, which must come.
pub fn must(model: &mut Model, request: &Request) -> String {
    match plan(model, at(1), request, &asker(1, 1), &mut Dice::from_number(model.volumes.len() as u64))
        .unwrap()
    {
        Outcome::Next(planned) => {
            *model = planned.model;
            planned.words
        }
        Outcome::AlreadySo(words) => panic!("already so: {words}"),
    }
}

/// Adds a volume.
pub fn volume(model: &mut Model, volume: &str, bytes: u64, stripes: u16) {
    let size = Size::Exactly(Bytes(bytes));
    let request = Request::VolumeCreate {
        name: name(volume),
        size,
        stripes: Some(stripes),
        stripe_bytes: None,
        on: vec![],
    };
    must(model, &request);
}
