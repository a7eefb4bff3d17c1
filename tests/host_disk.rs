//! Real block devices: loop devices over files, and file systems of our own that are mounted, full or frozen. Needs
//! root and the loop driver; elsewhere each test says that it was skipped. Everything made is undone, also when a
//! test fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use evms::base::failure::{Failure, Kind};
use evms::base::units::{Bytes, MIB};
use evms::host::disk::{Medium, OpenDisk, Want};
use evms::host::disk_error::DiskError;
use evms::host::sysfs::{self, Roots};
use evms::volume::plugins::local_disk::DiskKind;

/// One at a time: a child process being started holds copies of all our descriptors for a moment, and a disk that
/// another test just closed would still be busy.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A directory, and the commands that undo what was done, last first.
struct Bench {
    dir: PathBuf,
    undo: Vec<Vec<String>>,
    _turn: MutexGuard<'static, ()>,
}

fn run(words: &[&str]) -> Result<String, String> {
    let output = Command::new(words[0]).args(&words[1..]).output().map_err(|e| format!("{words:?}: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        false => Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

impl Bench {
    fn new() -> Option<Bench> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
            eprintln!("skipped: needs root and loop devices");
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let dice = evms::host::entropy::dice().unwrap().number();
        let dir = std::env::temp_dir().join(format!("evms-bench-{dice:016x}"));
        fs::create_dir(&dir).unwrap();
        Some(Bench { dir, undo: Vec::new(), _turn: turn })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn later(&mut self, words: &[&str]) {
        self.undo.push(words.iter().map(|word| word.to_string()).collect());
    }

    fn image(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.at(name);
        File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    }

    fn attach(&mut self, image: &Path, options: &[&str]) -> PathBuf {
        let image = image.to_str().unwrap();
        let device = run(&[&["losetup", "--find", "--show"], options, &[image]].concat()).unwrap();
        self.later(&["losetup", "-d", &device]);
        device.into()
    }

    fn mount(&mut self, words: &[&str], name: &str) -> PathBuf {
        let at = self.at(name);
        fs::create_dir(&at).unwrap();
        run(&[&["mount"], words, &[at.to_str().unwrap()]].concat()).unwrap();
        // Lazily: a thread of ours may be about to close what it has open below.
        self.later(&["umount", "-l", at.to_str().unwrap()]);
        at
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for words in self.undo.iter().rev() {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Err(error) = run(&words) {
                eprintln!("could not undo: {error}");
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn refusal(path: &Path, want: Want) -> DiskError {
    OpenDisk::open(path, want).err().unwrap()
}

#[test]
fn a_block_device_is_written_past_the_page_cache() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", 8 * MIB);
    let device = bench.attach(&image, &[]);
    let data: Vec<u8> = (0..2 * MIB + 4096).map(|at| (at / 512) as u8).collect();
    let disk = OpenDisk::open(&device, Want::Change).unwrap();
    assert_eq!(
        (disk.medium(), disk.size(), disk.logical_block()),
        (Medium::BlockDevice, Bytes(8 * MIB), 512)
    );
    disk.write(Bytes(MIB), &data).unwrap();
    disk.flush().unwrap();
    assert_eq!(disk.read(Bytes(MIB), data.len()).unwrap(), data);
    assert!(matches!(disk.read(Bytes(8 * MIB), 4096), Err(DiskError::OutOfRange { .. })));
    assert!(matches!(disk.write(Bytes(512), &data), Err(DiskError::Unaligned { .. })));
    drop(disk);
    assert_eq!(fs::read(&image).unwrap()[MIB as usize..][..data.len()], data);
}

#[test]
fn changing_is_exclusive_and_ends_with_the_drop() {
    let Some(mut bench) = Bench::new() else { return };
    let device = bench.image("disk.img", MIB);
    let device = bench.attach(&device, &[]);
    let disk = OpenDisk::open(&device, Want::Change).unwrap();
    let DiskError::Busy { by, .. } = refusal(&device, Want::Change) else { panic!() };
    assert!(by.is_empty());
    OpenDisk::open(&device, Want::Look).unwrap();
    drop(disk);
    drop(OpenDisk::open(&device, Want::Change).unwrap());
    drop(OpenDisk::open(&device, Want::Change).unwrap());
}

#[test]
fn a_mounted_disk_is_refused_with_its_mount_point() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", 16 * MIB);
    let device = bench.attach(&image, &[]);
    run(&["mkfs.ext4", "-q", device.to_str().unwrap()]).unwrap();
    let at = bench.mount(&[device.to_str().unwrap()], "mounted here");
    for want in [Want::Change, Want::ChangeUnderGates] {
        let error = refusal(&device, want);
        let text = error.to_string();
        assert!(matches!(error, DiskError::Busy { .. }) && error.kind() == Kind::Refused, "{text}");
        assert!(text.contains(&format!("mounted at {}", at.display())), "{text}");
    }
    OpenDisk::open(&device, Want::Look).unwrap().read(Bytes(0), 4096).unwrap();
    let name = device.file_name().unwrap().to_str().unwrap();
    let facts = sysfs::disk(&Roots::default(), name).unwrap();
    assert_eq!((facts.kind, facts.size), (DiskKind::Loop, Bytes(16 * MIB)));
    assert_eq!(facts.uses.mounted_at, [at.to_str().unwrap()]);
    assert!(sysfs::disks(&Roots::default()).unwrap().contains(&facts));
}

/// An MBR with one Linux partition from 1 MiB to the end.
fn write_partition_table(image: &Path, bytes: u64) {
    let (start, sectors) = (2048u32, u32::try_from(bytes / 512).unwrap() - 2048);
    let mut mbr = [0u8; 512];
    mbr[446 + 4] = 0x83;
    mbr[446 + 8..446 + 12].copy_from_slice(&start.to_le_bytes());
    mbr[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xAA]);
    fs::OpenOptions::new().write(true).open(image).unwrap().write_all_at(&mbr, 0).unwrap();
}

#[test]
fn a_mounted_partition_takes_the_whole_disk() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", 16 * MIB);
    write_partition_table(&image, 16 * MIB);
    let device = bench.attach(&image, &["-P"]);
    let part = PathBuf::from(format!("{}p1", device.display()));
    if !part.exists() {
        eprintln!("skipped: the kernel or /dev shows no partitions of loop devices");
        return;
    }
    run(&["mkfs.ext4", "-q", part.to_str().unwrap()]).unwrap();
    let at = bench.mount(&[part.to_str().unwrap()], "part");
    for taken in [&device, &part] {
        let DiskError::Busy { by, .. } = refusal(taken, Want::Change) else { panic!() };
        assert_eq!(by, [format!("mounted at {}", at.display())]);
    }
    let identity = |path: &Path| OpenDisk::open(path, Want::Look).unwrap().identity();
    assert_ne!(identity(&part), identity(&device));
    let name = part.file_name().unwrap().to_str().unwrap();
    assert!(sysfs::disk(&Roots::default(), name).unwrap().is_partition);
}

/// Where no gate is, a change claims the disk as ever; a claim of somebody who is not seen is no gate of ours.
#[test]
fn under_gates_a_claim_that_is_no_gate_refuses() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", MIB);
    let device = bench.attach(&image, &[]);
    let disk = OpenDisk::open(&device, Want::ChangeUnderGates).unwrap();
    disk.write(Bytes(0), &[7; 4096]).unwrap();
    disk.flush().unwrap();
    for want in [Want::Change, Want::ChangeUnderGates] {
        assert!(matches!(refusal(&device, want), DiskError::Busy { .. }), "{want:?}");
    }
}

/// One change at a time, none beside who reads steadily; any number of these, and looking beside anything.
#[test]
fn a_steady_reader_and_a_change_keep_each_other_away() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", MIB);
    let device = bench.attach(&image, &[]);
    let change = OpenDisk::open(&device, Want::Change).unwrap();
    assert!(matches!(refusal(&device, Want::Steady), DiskError::Locked { .. }));
    OpenDisk::open(&device, Want::Look).unwrap();
    drop(change);
    let _one = OpenDisk::open(&device, Want::Steady).unwrap();
    let _other = OpenDisk::open(&device, Want::Steady).unwrap();
    assert!(matches!(refusal(&device, Want::Change), DiskError::Locked { .. }));
    OpenDisk::open(&device, Want::Look).unwrap();
}

#[test]
fn a_disk_of_4096_byte_sectors_and_one_with_a_tail() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("4k.img", MIB);
    let device = bench.attach(&image, &["-b", "4096"]);
    let disk = OpenDisk::open(&device, Want::Change).unwrap();
    assert_eq!((disk.logical_block(), disk.physical_block() >= 4096), (4096, true));
    disk.write(Bytes(MIB - 4096), &[9; 4096]).unwrap();
    assert_eq!(disk.read(Bytes(MIB - 4096), 4096).unwrap(), [9; 4096]);
    let image = bench.image("tail.img", MIB + 1536);
    let device = bench.attach(&image, &[]);
    let disk = OpenDisk::open(&device, Want::Look).unwrap();
    assert_eq!(disk.size(), Bytes(MIB + 1536));
    assert!(disk.read(Bytes(MIB - 4096), 4096).is_ok());
    assert!(matches!(disk.read(Bytes(MIB), 4096), Err(DiskError::OutOfRange { .. })));
}

#[test]
fn a_read_only_device_can_be_looked_at() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", MIB);
    let device = bench.attach(&image, &["-r"]);
    assert!(OpenDisk::open(&device, Want::Look).unwrap().read_only());
    let error = refusal(&device, Want::Change);
    assert!(matches!(error, DiskError::ReadOnly { .. }), "{error}");
}

#[test]
fn an_image_on_a_read_only_file_system_can_be_looked_at() {
    let Some(mut bench) = Bench::new() else { return };
    let at = bench.mount(&["-t", "tmpfs", "none"], "tmpfs");
    let image = bench.image("tmpfs/disk.img", MIB);
    run(&["mount", "-o", "remount,ro", at.to_str().unwrap()]).unwrap();
    assert!(OpenDisk::open(&image, Want::Look).unwrap().read_only());
    assert!(matches!(refusal(&image, Want::Change), DiskError::ReadOnly { .. }));
}

#[test]
fn a_loop_device_over_an_image_is_that_image() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("disk.img", 2 * MIB);
    let (whole, again) = (bench.attach(&image, &[]), bench.attach(&image, &[]));
    let part = bench.attach(&image, &["-o", "1048576"]);
    let identity = |path: &Path| OpenDisk::open(path, Want::Look).unwrap().identity();
    assert_eq!(identity(&whole), identity(&image));
    assert_eq!(identity(&whole), identity(&again));
    assert_ne!(identity(&part), identity(&image));
}

#[test]
fn a_loop_device_of_nothing_has_no_medium() {
    let Some(mut bench) = Bench::new() else { return };
    let image = bench.image("empty.img", 0);
    let device = bench.attach(&image, &[]);
    assert!(matches!(refusal(&device, Want::Look), DiskError::NoMedium { .. }));
}

#[test]
fn a_lock_of_another_process_is_respected() {
    let Some(bench) = Bench::new() else { return };
    let image = bench.image("disk.img", MIB);
    let holding = "echo locked; read line";
    let mut other = Command::new("flock");
    other
        .args(["-n", image.to_str().unwrap(), "sh", "-c", holding])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut other = other.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let refused = refusal(&image, Want::Look);
    drop(other.stdin.take());
    other.wait().unwrap();
    assert_eq!((line.as_str(), refused), ("locked\n", DiskError::Locked { path: image.clone() }));
    OpenDisk::open(&image, Want::Change).unwrap();
}

#[test]
fn a_full_file_system_below_a_sparse_image_is_told() {
    let Some(mut bench) = Bench::new() else { return };
    bench.mount(&["-t", "tmpfs", "-o", "size=256k", "none"], "tiny");
    let image = bench.image("tiny/disk.img", 4 * MIB);
    let disk = OpenDisk::open(&image, Want::Change).unwrap();
    disk.write(Bytes(0), &[1; 4096]).unwrap();
    let error = disk.write(Bytes(MIB), &vec![1; MIB as usize]).unwrap_err();
    assert!(matches!(error, DiskError::Full { .. }) && error.kind() == Kind::Device, "{error}");
    assert!(error.to_string().contains("a part of it may have been written"), "{error}");
    assert_eq!(disk.read(Bytes(0), 4096).unwrap(), [1; 4096]);
}

/// Fills a file system to its last byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while std::io::Write::write(&mut file, &[1; 4096]).is_ok() {}
}

#[test]
fn no_room_below_a_block_device_is_told() {
    let Some(mut bench) = Bench::new() else { return };
    bench.mount(&["-t", "tmpfs", "-o", "size=256k", "none"], "tiny");
    let image = bench.image("tiny/disk.img", 4 * MIB);
    let device = bench.attach(&image, &[]);
    // Only from the first write that nothing of can be placed: the loop driver calls a write that was placed in
    // part a success.
    fill(&bench.at("tiny/filler"));
    let disk = OpenDisk::open(&device, Want::Change).unwrap();
    let error = disk.write(Bytes(MIB), &[1; 4096]).unwrap_err();
    assert!(matches!(error, DiskError::Full { .. } | DiskError::Io { .. }), "{error}");
}

#[test]
fn a_disk_that_fails_to_flush_is_given_up() {
    let Some(mut bench) = Bench::new() else { return };
    bench.mount(&["-t", "tmpfs", "-o", "size=4m", "none"], "tiny");
    let below = bench.image("tiny/below.img", 16 * MIB);
    let below = bench.attach(&below, &[]);
    run(&["mkfs.ext4", "-q", "-O", "^has_journal", below.to_str().unwrap()]).unwrap();
    bench.mount(&[below.to_str().unwrap()], "shaky");
    let image = bench.image("shaky/disk.img", 4 * MIB);
    run(&["sync", "-f", image.to_str().unwrap()]).unwrap();
    fill(&bench.at("tiny/filler"));
    let disk = OpenDisk::open(&image, Want::Change).unwrap();
    disk.write(Bytes(0), &vec![1; MIB as usize]).unwrap(); // into the page cache
    let error = disk.flush().unwrap_err();
    assert_eq!(error.kind(), Kind::Device, "{error}");
    assert!(error.to_string().contains("since the last flush may be lost"), "{error}");
    assert!(matches!(disk.flush(), Err(DiskError::GivenUp { .. })));
    assert!(matches!(disk.read(Bytes(0), 4096), Err(DiskError::GivenUp { .. })));
}

#[test]
fn a_hung_disk_costs_the_deadline_and_is_not_used_again() {
    let Some(mut bench) = Bench::new() else { return };
    let below = bench.image("below.img", 64 * MIB);
    let below = bench.attach(&below, &[]);
    run(&["mkfs.ext4", "-q", below.to_str().unwrap()]).unwrap();
    let at = bench.mount(&[below.to_str().unwrap()], "freezer");
    let image = bench.image("freezer/disk.img", 8 * MIB);
    let device = bench.attach(&image, &[]);
    let disk = OpenDisk::open_within(&device, Want::Change, 200).unwrap();
    disk.write(Bytes(0), &[1; 4096]).unwrap();
    run(&["fsfreeze", "-f", at.to_str().unwrap()]).unwrap();
    bench.later(&["fsfreeze", "-u", at.to_str().unwrap()]);
    let error = disk.write(Bytes(4096), &[2; 4096]).unwrap_err();
    assert!(
        matches!(error, DiskError::TimedOut { limit_ms: 200, .. }) && error.kind() == Kind::Device,
        "{error}"
    );
    assert!(error.to_string().contains(device.to_str().unwrap()), "{error}");
    assert!(matches!(disk.read(Bytes(0), 4096), Err(DiskError::GivenUp { .. })));
    assert!(matches!(disk.write(Bytes(0), &[3; 4096]), Err(DiskError::GivenUp { .. })));
    assert!(matches!(disk.flush(), Err(DiskError::GivenUp { .. })));
    drop(disk); // and nobody waits for the hung thread
}
