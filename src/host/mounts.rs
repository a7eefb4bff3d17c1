//! What the kernel says is mounted or swapped to, as seen by this process: `/proc/self/mountinfo`, `/proc/swaps`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::host::device::{DeviceNumber, SysfsError};

/// All mounts and swaps at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    mounts: Vec<Mount>,
    swaps: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    number: DeviceNumber,
    source: String,
    at: String,
    kind: String,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Where.
    pub at: PathBuf,
    /// Its kind as the kernel calls it: `ext4`.
    pub kind: String,
}

impl InUse {
    /// Reads both below `proc`. Not knowing what is mounted is an error; a kernel without swap is not.
    pub fn read(proc: &Path) -> Result<InUse, SysfsError> {
        let path = proc.join("self/mountinfo");
        let mounts = fs::read(&path).map_err(|_| SysfsError::NoProc { path })?;
        let swaps = fs::read(proc.join("swaps")).unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts).lines().filter_map(mount_of).collect();
        let swaps = String::from_utf8_lossy(&swaps).lines().skip(1).filter_map(first_word).collect();
        Ok(InUse { mounts, swaps })
    }

    /// Where the device of this number is mounted. File systems with numbers of their own (btrfs) are found by the
    /// device node they were mounted from, one of `nodes`.
    pub fn mounted_at(&self, number: DeviceNumber, nodes: &[String]) -> Vec<String> {
        let uses = |mount: &&Mount| {
            mount.number == number
                || (mount.number.major == 0
                    && (nodes.contains(&mount.source) || device_at(&mount.source) == Some(number)))
        };
        self.mounts.iter().filter(uses).map(|mount| mount.at.clone()).collect()
    }

    /// What is mounted from the device behind this node; the first of several places.
    pub fn mounted_from(&self, node: &Path) -> Option<Mounted> {
        let number = DeviceNumber::of_rdev(fs::metadata(node).ok()?.rdev());
        let real = fs::canonicalize(node).ok()?;
        let is_it = |mount: &&Mount| {
            let source = Path::new(&mount.source);
            mount.number == number || (mount.number.major == 0 && (source == node || source == real))
        };
        let mount = self.mounts.iter().find(is_it)?;
        Some(Mounted { at: PathBuf::from(&mount.at), kind: mount.kind.clone() })
    }

    /// Is the device of this number, which has these nodes among others, swapped to? Or does a file lie on it that is?
    pub fn is_swap(&self, number: DeviceNumber, nodes: &[String]) -> bool {
        let is_it = |swap: &String| match swap.starts_with(NODES) {
            true => nodes.contains(swap) || device_at(swap) == Some(number),
            false => self.below(swap).is_some_and(|mount| mount.number == number),
        };
        self.swaps.iter().any(is_it)
    }

    /// What the machine itself stands on, in words, and the device each lies on: the root of its file systems, and where it swaps to.
    pub fn footing(&self) -> impl Iterator<Item = (&'static str, DeviceNumber)> {
        let roots = self.mounts.iter().filter(|mount| mount.at == "/").filter_map(Mount::device);
        let swaps = self.swaps.iter().filter_map(|swap| match swap.starts_with(NODES) {
            true => device_at(swap),
            false => self.device_of(swap),
        });
        roots.map(|number| ("its root", number)).chain(swaps.map(|number| ("its swap", number)))
    }

    /// The device that a file lies on; nothing where its file system has none.
    pub fn device_of(&self, file: &str) -> Option<DeviceNumber> {
        self.below(file)?.device()
    }

    /// The mount that a file lies on, told by its path: a file system that hangs is not asked.
    fn below(&self, file: &str) -> Option<&Mount> {
        let holds = |mount: &&Mount| Path::new(file).starts_with(&mount.at);
        self.mounts.iter().filter(holds).max_by_key(|mount| mount.at.len())
    }
}

impl Mount {
    /// Its device; where it has a number of its own, the one it was mounted from.
    fn device(&self) -> Option<DeviceNumber> {
        if self.number.major == 0 { device_at(&self.source) } else { Some(self.number) }
    }
}

/// Where device nodes are.
const NODES: &str = "/dev/";

/// The device that a node is for; nothing where it is none.
fn device_at(node: &str) -> Option<DeviceNumber> {
    let metadata = fs::metadata(node).ok().filter(|_| node.starts_with(NODES))?;
    metadata.file_type().is_block_device().then(|| DeviceNumber::of_rdev(metadata.rdev()))
}

fn first_word(line: &str) -> Option<String> {
    line.split_ascii_whitespace().next().map(unescape)
}

/// One line: `36 35 98:0 /root /at options [optional…] - type source super-options`.
fn mount_of(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    let number = DeviceNumber::parse(words.nth(2)?)?;
    let at = unescape(words.nth(1)?);
    words.find(|word| *word == "-")?;
    let kind = unescape(words.next()?);
    let source = unescape(words.next()?);
    Some(Mount { number, source, at, kind })
}

/// Undoes the kernel's `\040` for blanks and the like.
fn unescape(word: &str) -> String {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                after
            }
            _ => {
                out.push(*first);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo_are_read() {
        let line = r"42 27 8:17 / /srv/my\040data rw,relatime shared:7 master:2 - ext4 /dev/sdb1 rw";
        let mount = mount_of(line).unwrap();
        assert_eq!(mount.number, DeviceNumber { major: 8, minor: 17 });
        assert_eq!((mount.at.as_str(), mount.source.as_str()), ("/srv/my data", "/dev/sdb1"));
        for bad in ["", "1 2 3", "42 27 8:17 / /srv rw", "42 27 x:y / /srv rw - ext4 /dev/sdb1 rw"] {
            assert_eq!(mount_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_btrfs_is_found_by_its_source_and_others_by_number_alone() {
        let mounts = ["1 1 0:40 /@ / rw - btrfs /dev/sda2 rw", "2 1 8:3 / /old rw - ext4 /dev/sda2 rw"];
        let in_use = InUse { mounts: mounts.into_iter().filter_map(mount_of).collect(), swaps: vec![] };
        assert_eq!(in_use.mounted_at(DeviceNumber { major: 8, minor: 2 }, &["/dev/sda2".into()]), ["/"]);
        assert_eq!(in_use.mounted_at(DeviceNumber { major: 8, minor: 3 }, &["/dev/sda3".into()]), ["/old"]);
    }

    #[test]
    fn a_file_that_is_swapped_to_lies_on_its_mount() {
        let mounts = ["1 1 8:1 / / rw - ext4 /dev/sda1 rw", "2 1 8:2 / /var rw - ext4 /dev/sda2 rw"];
        let mounts = mounts.into_iter().filter_map(mount_of).collect();
        let in_use = InUse { mounts, swaps: vec!["/var/swap".into(), "/dev/no-such-node".into()] };
        let is = |minor| in_use.is_swap(DeviceNumber { major: 8, minor }, &[]);
        assert_eq!((is(1), is(2), is(3)), (false, true, false));
        assert!(in_use.is_swap(DeviceNumber { major: 8, minor: 9 }, &["/dev/no-such-node".into()]));
    }

    #[test]
    fn stray_backslashes_stay() {
        for (word, plain) in
            [(r"a\040b", "a b"), (r"a\134b", r"a\b"), (r"a\", r"a\"), (r"\99x", r"\99x"), ("", "")]
        {
            assert_eq!(unescape(word), plain);
        }
    }
}
