//! A whole member disk in memory, as the commit protocol leaves it, and one look at all that stands on it.

use evms::base::id::NodeId;
use evms::base::units::{BLOCK_BYTES, Bytes};
use evms::format::damage::{Damage, Fault, What};
use evms::format::first_block;
use evms::format::history::{Record, Ring, RingEnd};
use evms::format::intent::Intent;
use evms::format::layout::{AreaKind, End, HEAD_LABEL_AT, Layout, SlotIndex, TAIL_LABEL_BYTES};
use evms::format::model::Model;
use evms::format::node_block::{self, NodeBlock, NodeBlocks};
use evms::format::slot::{SlotHeader, SlotImage};
use evms::volume::choose::{Copy, DiskCopies};
use evms::volume::discover::{self, Labelled, Sighting};

use crate::specimen::{self, SIZE};

/// The places of the four copies, in the order in which they are read.
pub const COPIES: [(End, SlotIndex); 4] = [
    (End::Primary, SlotIndex::Zero),
    (End::Primary, SlotIndex::One),
    (End::Secondary, SlotIndex::Zero),
    (End::Secondary, SlotIndex::One),
];
/// What was written into the slots: slot 0 before slot 1.
pub const GENERATIONS: [u64; 2] = [301, 302];
/// So much of the node blocks and of the ring is looked at for each flip; what follows is blank.
const LOOKED_AT: usize = 16 * BLOCK_BYTES as usize;
const HISTORY: [u64; 3] = [1, 2, 3];

/// Some bytes of the disk that carry metadata.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub what: Part,
    pub at: usize,
    pub length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    FirstBlock,
    Label(End),
    NodeBlocks,
    Intent,
    SlotHeader(usize),
    SlotBody(usize),
    History,
}

/// A disk that is written to and looked at.
pub struct Disk {
    pub number: u16,
    pub bytes: Vec<u8>,
    pub layout: Layout,
    pub used: Vec<Used>,
}

/// Everything that one look at a disk saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub sighting: Sighting,
    pub copies: DiskCopies,
    pub blocks: NodeBlocks,
    pub intent: Result<Intent, Damage>,
    pub ring: Ring,
    pub end: RingEnd,
}

pub fn image_of(generation: u64) -> SlotImage {
    let mut model: Model = specimen::model();
    model.change.text = format!("change {generation}");
    specimen::image_at(&model, generation)
}

fn promise(id: u16, counter: u64) -> NodeBlock {
    NodeBlock { id: NodeId(id), ..specimen::node_block(counter) }
}

/// The promises that stand on the disk: of each node the older and the newer one.
pub fn promises() -> [[NodeBlock; 2]; 2] {
    [[promise(2, 8), promise(2, 9)], [promise(5, 0), promise(5, 1)]]
}

pub fn records() -> [Record; 3] {
    HISTORY.map(specimen::record)
}

impl Disk {
    /// Disk `number` with two commits, a change of ids under way, three models in its history.
    pub fn new(number: u16) -> Disk {
        let mut disk = Disk {
            number,
            bytes: vec![0; SIZE.0 as usize],
            layout: specimen::layout(SIZE),
            used: Vec::new(),
        };
        let label = specimen::label(number);
        disk.put(Part::FirstBlock, Bytes(0), &first_block::encode(SIZE));
        disk.put(Part::Label(End::Primary), HEAD_LABEL_AT, &label.encode(End::Primary).unwrap());
        let tail = disk.layout.area(AreaKind::Label, End::Secondary).start_bytes();
        disk.put(Part::Label(End::Secondary), tail, &label.encode(End::Secondary).unwrap());
        let area = disk.layout.area(AreaKind::NodeBlocks, End::Primary);
        for block in promises().iter().flatten() {
            let at = node_block::place(&area, block.id, block.counter).unwrap();
            disk.put(Part::NodeBlocks, at, &block.encode());
        }
        let intent = disk.layout.area(AreaKind::Intent, End::Primary).start_bytes();
        disk.put(Part::Intent, intent, &specimen::intent().encode());
        for (place, (end, index)) in COPIES.into_iter().enumerate() {
            let at = disk.layout.slot(index, end).start_bytes();
            let slot = image_of(GENERATIONS[index.number()]).encode();
            let (header, body) = slot.split_at(BLOCK_BYTES as usize);
            disk.put(Part::SlotHeader(place), at, header);
            disk.put(Part::SlotBody(place), Bytes(at.0 + BLOCK_BYTES), body);
        }
        let ring = records().iter().flat_map(Record::encode).collect::<Vec<_>>();
        let at = disk.layout.area(AreaKind::History, End::Primary).start_bytes();
        disk.put(Part::History, at, &ring);
        disk
    }

    fn put(&mut self, what: Part, at: Bytes, bytes: &[u8]) {
        let at = at.0 as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.used.push(Used { what, at, length: bytes.len() });
    }

    fn area(&self, kind: AreaKind, end: End) -> &[u8] {
        let area = self.layout.area(kind, end);
        &self.bytes[area.start_bytes().0 as usize..area.end_bytes().0 as usize]
    }

    pub fn sight(&self) -> Sighting {
        let ends = TAIL_LABEL_BYTES as usize;
        discover::sight(SIZE, 512, &self.bytes[..ends], &self.bytes[self.bytes.len() - ends..])
    }

    /// One copy, as any reader takes it: header, then as much body as it says, then whose it is.
    pub fn copy(&self, place: usize) -> Copy {
        let (end, index) = COPIES[place];
        let area = self.area(index.kind(), end);
        let header = SlotHeader::decode(area)?;
        let length = (header.slot_bytes().0 as usize).min(area.len());
        let image = SlotImage::decode(&area[..length])?;
        let stranger = image.header.container != specimen::CONTAINER;
        if stranger { Err(Damage::new(What::SlotHeader, Fault::Foreign)) } else { Ok(image) }
    }

    fn blocks(&self) -> NodeBlocks {
        NodeBlocks::decode(&self.area(AreaKind::NodeBlocks, End::Primary)[..LOOKED_AT])
    }

    fn intent(&self) -> Result<Intent, Damage> {
        Intent::decode(self.area(AreaKind::Intent, End::Primary))
    }

    fn ring(&self) -> &[u8] {
        &self.area(AreaKind::History, End::Primary)[..LOOKED_AT]
    }

    /// All of it.
    pub fn look(&self) -> Seen {
        let slots = (0..4).map(|place| (COPIES[place].0, COPIES[place].1, self.copy(place))).collect();
        let copies = DiskCopies {
            number: evms::base::id::DiskNumber(self.number),
            id: specimen::disk_id(self.number),
            slots,
        };
        Seen {
            sighting: self.sight(),
            copies,
            blocks: self.blocks(),
            intent: self.intent(),
            ring: Ring::decode(self.ring()),
            end: RingEnd::find(self.ring()),
        }
    }

    /// Looks again at the part that changed.
    pub fn look_again(&self, seen: &mut Seen, part: Part) {
        match part {
            Part::FirstBlock | Part::Label(_) => seen.sighting = self.sight(),
            Part::NodeBlocks => seen.blocks = self.blocks(),
            Part::Intent => seen.intent = self.intent(),
            Part::SlotHeader(place) | Part::SlotBody(place) => seen.copies.slots[place].2 = self.copy(place),
            Part::History => {
                (seen.ring, seen.end) = (Ring::decode(self.ring()), RingEnd::find(self.ring()));
            }
        }
    }
}

impl Seen {
    pub fn labelled(&self) -> Option<&Labelled> {
        match &self.sighting {
            Sighting::Ours(labelled) => Some(labelled),
            _ => None,
        }
    }

    /// Puts back what was seen of one part.
    pub fn restore(&mut self, part: Part, from: &Seen) {
        match part {
            Part::FirstBlock | Part::Label(_) => self.sighting = from.sighting.clone(),
            Part::NodeBlocks => self.blocks = from.blocks.clone(),
            Part::Intent => self.intent = from.intent.clone(),
            Part::SlotHeader(place) | Part::SlotBody(place) => {
                self.copies.slots[place] = from.copies.slots[place].clone();
            }
            Part::History => (self.ring, self.end) = (from.ring.clone(), from.end),
        }
    }
}
