//! Requests to the byte against `linux/dm-ioctl.h`, and answers that lie.

use super::*;

fn targets() -> Vec<Target> {
    let target = |start, length, kind: &str, params: &str| Target {
        start: Sectors(start),
        length: Sectors(length),
        kind: kind.into(),
        params: params.into(),
    };
    vec![target(0, 8, "linear", "254:0 2048"), target(8, 16, "error", "")]
}

#[test]
fn a_request_stands_where_the_kernel_looks() {
    let mut buffer = vec![0xee; 1024];
    begin(&mut buffer, flag::SUSPENDED);
    set_name(&mut buffer, "evms:a:b").unwrap();
    set_uuid(&mut buffer, "EVMS-x").unwrap();
    set_event(&mut buffer, 0x0012_3456);
    assert_eq!(buffer[..12], [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((word(&buffer, 12), word(&buffer, 16)), (Some(1024), Some(312)));
    assert_eq!((word(&buffer, 28), word(&buffer, 32)), (Some(2), Some(0x0012_3456)));
    assert_eq!(&buffer[48..57], b"evms:a:b\0");
    assert_eq!(&buffer[176..183], b"EVMS-x\0");
}

/// In a request `next` counts from this target, in an answer from the first one (`linux/dm-ioctl.h`).
#[test]
fn a_table_goes_out_and_comes_back() {
    let mut buffer = vec![0xee; 1024];
    begin(&mut buffer, 0);
    set_table(&mut buffer, &targets()).unwrap();
    assert_eq!(word(&buffer, 20), Some(2));
    // 40 bytes and "254:0 2048" with its end, rounded up to eight.
    assert_eq!(word(&buffer, 312 + 20), Some(56));
    assert_eq!(table_bytes(&targets()), 56 + 48);
    let second = 312 + 56;
    assert_eq!((long(&buffer, second), long(&buffer, second + 8)), (Some(8), Some(16)));
    put(&mut buffer, second + 20, &104u32.to_ne_bytes());
    assert_eq!(table(&buffer), Some(targets()));
}

#[test]
fn what_does_not_fit_or_ends_early_is_not_sent() {
    let mut buffer = vec![0; HEADER_BYTES + 64];
    begin(&mut buffer, 0);
    assert_eq!(set_name(&mut buffer, &"x".repeat(127)), Ok(()));
    assert_eq!(set_name(&mut buffer, &"x".repeat(128)), Err(TooLong));
    assert_eq!(set_uuid(&mut buffer, &"x".repeat(129)), Err(TooLong));
    assert_eq!(set_name(&mut buffer, "a\0b"), Err(TooLong));
    assert_eq!(set_table(&mut buffer, &targets()), Err(TooLong));
    assert_eq!(set_data(&mut buffer, &"x".repeat(64)), Err(TooLong));
    assert_eq!(set_data(&mut buffer, &"x".repeat(63)), Ok(()));
    let kind = Target { kind: "x".repeat(16), params: String::new(), ..targets().remove(0) };
    assert_eq!(set_table(&mut [0; 1024], &[kind]), Err(TooLong));
}

#[test]
fn an_answer_that_lies_is_none_and_ends() {
    let mut buffer = vec![0; 1024];
    begin(&mut buffer, 0);
    set_table(&mut buffer, &targets()).unwrap();
    // `next` of the first target points at itself, and far outside.
    for next in [0u32, 1 << 31] {
        put(&mut buffer, HEADER_BYTES + 20, &next.to_ne_bytes());
        assert_eq!(table(&buffer), None);
    }
    put(&mut buffer, TARGET_COUNT_AT, &u32::MAX.to_ne_bytes());
    assert_eq!(table(&buffer), None);
    put(&mut buffer, DATA_START_AT, &2000u32.to_ne_bytes());
    assert_eq!(table(&buffer), None);
    put(&mut buffer, NAME_AT, &[b'x'; NAME_BYTES]);
    assert_eq!(state(&buffer).map(|state| state.uuid), None);
    assert_eq!((state(&[]), table(&[]), list(&[])), (None, None, None));
}

#[test]
fn a_list_gives_names_numbers_and_uuids() {
    let mut buffer = vec![0; 1024];
    begin(&mut buffer, 0);
    let data = HEADER_BYTES;
    // 254:259, then a name of five bytes: 12 + 6 rounds up to 24, event number and flags, uuid.
    put(&mut buffer, data, &((254u64 << 8) | 3 | (256 << 12)).to_ne_bytes());
    put(&mut buffer, data + 8, &48u32.to_ne_bytes());
    put(&mut buffer, data + 12, b"first\0");
    put(&mut buffer, data + 28, &1u32.to_ne_bytes());
    put(&mut buffer, data + 32, b"EVMS-1\0");
    put(&mut buffer, data + 48, &(254u64 << 8).to_ne_bytes());
    put(&mut buffer, data + 60, b"second\0");
    put(&mut buffer, data + 48 + 28, &2u32.to_ne_bytes());
    let device = |minor| DeviceNumber { major: 254, minor };
    let first = Listed { name: "first".into(), uuid: Some("EVMS-1".into()), number: device(259) };
    let second = Listed { name: "second".into(), uuid: None, number: device(0) };
    assert_eq!(list(&buffer), Some(vec![first, second]));
}
