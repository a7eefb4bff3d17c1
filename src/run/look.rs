//! Looking at one disk: what both ends show, and what its slots hold when it is a member. Reads only. A disk may hang: a
//! crew looks at many, and leaves who stands before a hung one standing there.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::id::{ContainerId, DiskId};
use crate::base::limits::{IO_BYTES_MAX, LOOK_BYTES, SLOT_BYTES_MIN};
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::damage::{Damage, Fault, What};
use crate::format::intent::Intent;
use crate::format::layout::{Area, AreaKind, End, SlotIndex};
use crate::format::slot::{SlotHeader, SlotImage};
use crate::host::crew::{self, Pulse};
use crate::host::disk::{BareDisk, Blocks, IO_DEADLINE_MS, Medium, OpenDisk, Want};
use crate::host::disk_bare::{self, Ends};
use crate::host::disk_error::DiskError;
use crate::volume::choose::{Copy, DiskCopies};
use crate::volume::discover::{self, Labelled, Read, Sighting, Unusable};

/// Copies that are kept to compare others with.
const CHECKED_MAX: usize = 8;

/// What one look saw.
pub struct Looked {
    /// The disk, open; or why not.
    pub open: Result<OpenDisk, DiskError>,
    /// What both ends show; an error of the device ends the look.
    pub sighting: Result<Sighting, DiskError>,
    /// What a member holds; its place is for who made the list.
    pub read: Option<Read>,
}

impl Looked {
    /// A disk that could not be looked at.
    pub fn failed(error: DiskError) -> Looked {
        Looked { open: Err(error.clone()), sighting: Err(error), read: None }
    }

    fn at(bare: Result<BareDisk, DiskError>, checked: &Checked) -> Looked {
        let bare = match bare {
            Ok(bare) => bare,
            Err(error) => return Looked::failed(error),
        };
        match read_ends(&bare, LOOK_BYTES) {
            Ok((head, tail)) => Looked::of(bare, &head, &tail, checked),
            Err(error) => Looked { open: Ok(OpenDisk::of(bare)), sighting: Err(error), read: None },
        }
    }

    fn of(bare: BareDisk, head: &[u8], tail: &[u8], checked: &Checked) -> Looked {
        let sighting = look(&bare, head, tail);
        let read = match &sighting {
            Ok(Sighting::Ours(labelled)) => Some(read_member(&bare, labelled, checked)),
            _ => None,
        };
        Looked { open: Ok(OpenDisk::of(bare)), sighting, read }
    }
}

/// Copies of which the hash was compared. Every disk of a container holds the same two models, as a rule, at both ends:
/// each is hashed once, and the other copies are compared with it to the byte.
#[derive(Default)]
struct Checked(Mutex<Vec<SlotImage>>);

impl Checked {
    fn twin(&self, header: &SlotHeader) -> Option<SlotImage> {
        let images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        images.iter().find(|image| image.header == *header).cloned()
    }

    /// Header and body behind a header that was read from the same bytes; the hash is compared, once for all equal ones.
    fn open(&self, header: SlotHeader, bytes: &[u8]) -> Copy {
        let twin = self.twin(&header);
        let image = SlotImage::behind(header, bytes, twin.as_ref())?;
        if twin.is_none() {
            self.keep(&image);
        }
        Ok(image)
    }

    fn keep(&self, image: &SlotImage) {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if images.len() < CHECKED_MAX {
            images.push(image.clone());
        }
    }
}

/// How long each step of a look at one disk may take.
const LOOK_LIMIT: Duration = Duration::from_millis(IO_DEADLINE_MS);

/// Looks at all of these disks, in their order. Image files are read here and now; devices by a crew, so that a hung one
/// costs its deadline and delays none of the others.
pub fn at_all(paths: &[PathBuf], want: Want) -> Vec<Looked> {
    let is_image = |path: &PathBuf| disk_bare::medium_of(path).is_ok_and(|medium| medium == Medium::Image);
    let checked = Checked::default();
    if paths.iter().all(is_image) {
        return paths.iter().map(|path| Looked::at(BareDisk::open(path, want), &checked)).collect();
    }
    let looked = crew::each(paths.to_vec(), LOOK_LIMIT, move |(): &mut (), pulse: &Pulse, path: PathBuf| {
        Looked::at(BareDisk::open(&path, want).map(|bare| bare.beating(pulse)), &checked)
    });
    let missed = |path: &PathBuf, why| Looked::failed(DiskError::missed(path, why, IO_DEADLINE_MS));
    looked.into_iter().zip(paths).map(|(end, path)| end.unwrap_or_else(|why| missed(path, why))).collect()
}

/// Looks for members among block devices that the kernel has named itself; `None` is a disk that carries nothing of ours.
/// Boxed: most of them are strangers, and what is long is not moved from hand to hand for those.
pub fn for_members(paths: &Arc<[PathBuf]>, want: Want) -> Vec<Option<Box<Looked>>> {
    let (checked, of) = (Checked::default(), Arc::clone(paths));
    let wanted = |head: &[u8], tail: &[u8]| !discover::is_stranger(head, tail);
    let places = (0..paths.len()).collect();
    let looked = crew::each(places, LOOK_LIMIT, move |ends: &mut Ends, pulse: &Pulse, place: usize| {
        match BareDisk::open_if(of.get(place)?, want, ends, pulse, wanted) {
            Ok(bare) => Some(Box::new(Looked::of(bare?, ends.head(), ends.tail(), &checked))),
            Err(error) => Some(Box::new(Looked::failed(error))),
        }
    });
    let missed = |path: &PathBuf, why| Looked::failed(DiskError::missed(path, why, IO_DEADLINE_MS));
    let ends = looked.into_iter().zip(paths.iter());
    ends.map(|(end, path)| end.unwrap_or_else(|why| Some(Box::new(missed(path, why))))).collect()
}

/// Reads `length` bytes in pieces that no device refuses.
pub fn read_long(disk: &impl Blocks, at: Bytes, length: u64) -> Result<Vec<u8>, DiskError> {
    if length <= IO_BYTES_MAX {
        return disk.read(at, length as usize);
    }
    let mut bytes = Vec::new();
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(IO_BYTES_MAX);
        bytes.extend(disk.read(Bytes(at.0 + done), piece as usize)?);
        done += piece;
    }
    Ok(bytes)
}

/// The first and the last `length` bytes of a disk, as far as it has them.
pub fn read_ends(disk: &impl Blocks, length: u64) -> Result<(Vec<u8>, Vec<u8>), DiskError> {
    let usable = disk.size().round_down(BLOCK_BYTES).0;
    let length = length.min(usable);
    Ok((read_long(disk, Bytes(0), length)?, read_long(disk, Bytes(usable - length), length)?))
}

fn look(disk: &impl Blocks, head: &[u8], tail: &[u8]) -> Result<Sighting, DiskError> {
    let judge = |tail: &[u8]| discover::sight(disk.size(), disk.logical_block(), head, tail);
    match judge(tail) {
        // A crash between the two labels of a change of ids: the intent explains both, and the front one counts.
        Sighting::Unusable(Unusable::TwoLabels { front, tail: new }) => match judge(&vec![0; tail.len()]) {
            Sighting::Ours(labelled) if between_labels(disk, &labelled, front, new)? => {
                Ok(Sighting::Ours(labelled))
            }
            _ => Ok(Sighting::Unusable(Unusable::TwoLabels { front, tail: new })),
        },
        other => Ok(other),
    }
}

/// Does the intent on this disk tell of just this change, from the ids in front to those in the tail?
fn between_labels(
    disk: &impl Blocks,
    labelled: &Labelled,
    front: (ContainerId, DiskId),
    tail: (ContainerId, DiskId),
) -> Result<bool, DiskError> {
    let at = labelled.layout.area(AreaKind::Intent, End::Primary).start_bytes();
    let intent = Intent::decode(&disk.read(at, Intent::BYTES.0 as usize)?);
    Ok(intent.is_ok_and(|intent| {
        (intent.old_container, intent.old_disk) == front && (intent.new_container, intent.new_disk) == tail
    }))
}

/// One copy. Most models fit the least slot: one read brings header and body. A longer one is read anew, as a whole.
fn read_copy(disk: &impl Blocks, area: &Area, checked: &Checked) -> Copy {
    let unreadable = |_| Damage::new(What::SlotBody, Fault::Short);
    let least = SLOT_BYTES_MIN.min(area.length_bytes().0);
    let first = disk.see(area.start_bytes(), least as usize, |bytes| {
        let header = SlotHeader::decode(bytes)?;
        let length = header.slot_bytes().0.min(area.length_bytes().0);
        Ok(if length > least { Err(length) } else { Ok(checked.open(header, bytes)?) })
    });
    match first.map_err(unreadable)?? {
        Ok(image) => Ok(image),
        Err(length) => {
            let bytes = read_long(disk, area.start_bytes(), length).map_err(unreadable)?;
            checked.open(SlotHeader::decode(&bytes)?, &bytes)
        }
    }
}

/// Reads slots and intent of a labelled disk. What cannot be read is a damaged copy, not an end of the look.
fn read_member(disk: &impl Blocks, labelled: &Labelled, checked: &Checked) -> Read {
    let slots = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
    let slots = slots.map(|(end, index)| {
        let copy = match read_copy(disk, &labelled.layout.slot(index, end), checked) {
            Ok(image) if image.header.container != labelled.label.container => {
                Err(Damage::new(What::SlotHeader, Fault::Foreign))
            }
            other => other,
        };
        (end, index, copy)
    });
    let slots = slots.collect();
    let copies = DiskCopies { number: labelled.label.number, id: labelled.label.disk, slots };
    let at = labelled.layout.area(AreaKind::Intent, End::Primary).start_bytes();
    let unreadable = |_| Damage::new(What::Intent, Fault::Short);
    let intent = disk.see(at, Intent::BYTES.0 as usize, Intent::decode).map_err(unreadable);
    let (intent, intent_damage) = match intent.flatten() {
        Ok(intent) => (Some(intent), None),
        Err(damage) => (None, Some(damage).filter(|damage| !damage.is_blank())),
    };
    Read { place: 0, labelled: labelled.clone(), copies, intent, intent_damage }
}
