//! A slot: any header fields and any body, with length, hash and checksum made to fit (or not, by the first byte). What
//! is believed is written back the same, and its body is a model or a typed refusal.
#![no_main]

use evms::base::hash::Hash128;
use evms::base::limits::SLOT_BYTES_MAX;
use evms::format::model::Model;
use evms::format::seal::{self, BLOCK};
use evms::format::slot::{SlotHeader, SlotImage};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8; 8] = b"EVMSSLOT";
/// Bytes of the fields that the hash covers, behind the magic; the length stands at 4 in them.
const NAMED: usize = 112;
const HASH: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    let Some((fields, rest)) = rest.split_at_checked(NAMED + HASH) else { return };
    let (mut fields, body) = (fields.to_vec(), rest);
    if mode & 1 == 0 {
        fields[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    }
    if mode & 2 == 0 {
        let hash = Hash128::of(&[&fields[..NAMED], body]);
        fields[NAMED..].copy_from_slice(&hash.0);
    }
    let mut slot = seal::close(&[MAGIC.as_slice(), &fields].concat()).unwrap();
    slot.extend_from_slice(body);
    slot.resize(slot.len().next_multiple_of(BLOCK), 0);
    if let Ok(header) = SlotHeader::decode(&slot) {
        assert!(header.slot_bytes().0 <= SLOT_BYTES_MAX);
    }
    match SlotImage::decode(&slot) {
        Ok(image) => believed(&image, &slot),
        Err(damage) => assert!(!damage.to_string().is_empty()),
    }
});

fn believed(image: &SlotImage, slot: &[u8]) {
    let written = image.encode();
    assert_eq!(&written[..BLOCK + image.body.len()], &slot[..BLOCK + image.body.len()]);
    assert_eq!(SlotImage::new(image.header.clone(), image.body.to_vec()).as_ref(), Some(image));
    if let Ok(model) = Model::of(image) {
        assert_eq!(
            (model.container.id, model.table.old_set.is_some()),
            (image.header.container, image.header.old_set)
        );
    }
}
