//! Image files, without root. Block devices: `tests/host_disk.rs`.

use super::*;
use std::fs;
use std::os::unix::net::UnixListener;

use crate::base::failure::{Failure, Kind};

const BLOCK: usize = BLOCK_BYTES as usize;

/// A directory that goes away with the test.
struct Room(PathBuf);

impl Room {
    fn new() -> Room {
        let name = format!("evms-disk-{:016x}", crate::host::entropy::dice().unwrap().number());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Room(path)
    }

    fn image(&self, bytes: u64) -> PathBuf {
        let path = self.0.join("disk.img");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path, want: Want) -> Result<OpenDisk, DiskError> {
    OpenDisk::open(path, want)
}

fn refusal(path: &Path, want: Want) -> DiskError {
    open(path, want).err().unwrap()
}

#[test]
fn what_is_written_is_read_back_in_parts_too() {
    let room = Room::new();
    let path = room.image(8 << 20);
    let disk = open(&path, Want::Change).unwrap();
    let data: Vec<u8> = (0..3 * (1 << 20) + BLOCK).map(|at| (at / BLOCK * 7 + at) as u8).collect();
    disk.write(Bytes(4096), &data).unwrap();
    disk.flush().unwrap();
    assert_eq!(disk.read(Bytes(4096), data.len()).unwrap(), data);
    assert_eq!(disk.read(Bytes(0), 0).unwrap(), [0u8; 0]);
    assert!(disk.read(Bytes(0), BLOCK).unwrap().iter().all(|&byte| byte == 0));
    assert_eq!((disk.medium(), disk.size(), disk.logical_block()), (Medium::Image, Bytes(8 << 20), 512));
    assert!(!disk.read_only() && disk.path() == path);
}

#[test]
fn a_tail_that_is_no_block_is_counted_and_not_reached() {
    let room = Room::new();
    let path = room.image(10_000);
    let disk = open(&path, Want::Change).unwrap();
    assert_eq!(disk.size(), Bytes(10_000));
    disk.write(Bytes(4096), &[1; BLOCK]).unwrap();
    for (at, len) in [(8192, BLOCK), (4096, 2 * BLOCK), (1 << 40, BLOCK), (u64::MAX - 4095, BLOCK)] {
        assert!(matches!(disk.write(Bytes(at), &vec![1; len]), Err(DiskError::OutOfRange { .. })), "{at}");
        assert!(matches!(disk.read(Bytes(at), len), Err(DiskError::OutOfRange { .. })), "{at}");
    }
    for (at, len) in [(512, BLOCK), (0, 512), (1, 1)] {
        assert!(matches!(disk.write(Bytes(at), &vec![1; len]), Err(DiskError::Unaligned { .. })), "{at}");
        assert!(matches!(disk.read(Bytes(at), len), Err(DiskError::Unaligned { .. })), "{at}");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 10_000);
}

#[test]
fn an_image_is_locked_while_it_is_open() {
    let room = Room::new();
    let path = room.image(1 << 20);
    let locked = |want| matches!(open(&path, want), Err(DiskError::Locked { .. }));
    let lookers = (open(&path, Want::Look).unwrap(), open(&path, Want::Look).unwrap());
    assert!(locked(Want::Change) && locked(Want::ChangeUnderGates) && !locked(Want::Look));
    drop(lookers);
    let changer = open(&path, Want::Change).unwrap();
    assert!(locked(Want::Change) && locked(Want::Look));
    let text = refusal(&path, Want::Look).to_string();
    assert!(text.contains("disk.img") && text.contains("nothing was touched"), "{text}");
    drop(changer);
    assert!(!locked(Want::Change));
}

#[test]
fn who_looks_does_not_write() {
    let room = Room::new();
    let disk = open(&room.image(1 << 20), Want::Look).unwrap();
    assert!(matches!(disk.write(Bytes(0), &[1; BLOCK]), Err(DiskError::OpenedToLook { .. })));
    assert!(matches!(disk.flush(), Err(DiskError::OpenedToLook { .. })));
}

#[test]
fn a_file_that_shrinks_is_told_and_not_made_longer() {
    let room = Room::new();
    let path = room.image(1 << 20);
    let disk = open(&path, Want::Change).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(6000).unwrap();
    for error in
        [disk.read(Bytes(4096), BLOCK).unwrap_err(), disk.write(Bytes(4096), &[1; BLOCK]).unwrap_err()]
    {
        let DiskError::Shrank { was, now, .. } = &error else { panic!("{error}") };
        assert_eq!((*was, *now, error.kind()), (Bytes(1 << 20), Bytes(6000), Kind::Device));
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 6000);
    disk.write(Bytes(0), &[1; BLOCK]).unwrap();
}

#[test]
fn what_is_no_disk_is_called_by_its_name_and_never_hangs() {
    let room = Room::new();
    let fifo = room.0.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let socket = room.0.join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let cases: [(&Path, &str); 4] = [
        (&room.0, "a directory"),
        (Path::new("/dev/null"), "a character device"),
        (&fifo, "a pipe"),
        (&socket, "a socket"),
    ];
    for (path, kind) in cases {
        for want in [Want::Look, Want::Change] {
            let DiskError::NotADisk { what, .. } = refusal(path, want) else { panic!("{kind}") };
            assert_eq!(what, kind);
        }
    }
    for missing in [room.0.join("missing"), room.image(0).join("below")] {
        assert_eq!(refusal(&missing, Want::Look).kind(), Kind::NotFound);
    }
}

#[test]
fn links_are_the_same_disk_and_copies_are_not() {
    let room = Room::new();
    let path = room.image(1 << 20);
    let (hard, soft, copy) = (room.0.join("hard"), room.0.join("soft"), room.0.join("copy"));
    fs::hard_link(&path, &hard).unwrap();
    std::os::unix::fs::symlink(&path, &soft).unwrap();
    fs::copy(&path, &copy).unwrap();
    let identity = |path: &Path| open(path, Want::Look).unwrap().identity();
    assert_eq!(identity(&path), identity(&hard));
    assert_eq!(identity(&path), identity(&soft));
    assert_ne!(identity(&path), identity(&copy));
}

#[test]
fn a_disk_may_be_used_by_several_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<OpenDisk>();
}
