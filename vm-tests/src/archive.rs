//! The archive that the kernel unpacks at boot: cpio in the form `newc`. Written here because making device nodes
//! with the usual tools wants root, and an entry is only bytes.
//!
//! Entries come out sorted by path, so a folder stands before what is in it, and the same content is the same bytes.

use std::collections::BTreeMap;

const KIND_FOLDER: u32 = 0o040_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_LINK: u32 = 0o120_000;
const KIND_CHARACTER: u32 = 0o020_000;
const KIND_BLOCK: u32 = 0o060_000;

const LAST: &str = "TRAILER!!!";

/// What a device node stands for.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    /// A character device by major and minor number.
    Character(u32, u32),
    /// A block device by major and minor number.
    Block(u32, u32),
}

#[derive(Debug)]
struct Entry {
    mode: u32,
    device: (u32, u32),
    bytes: Vec<u8>,
}

/// An archive in the making. Paths have no leading slash; folders above an entry come by themselves.
#[derive(Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Puts a folder.
    pub fn folder(&mut self, path: &str) {
        self.put(path, KIND_FOLDER | 0o755, (0, 0), Vec::new());
    }

    /// Puts a file with its permissions.
    pub fn file(&mut self, path: &str, permissions: u32, bytes: Vec<u8>) {
        self.put(path, KIND_FILE | permissions, (0, 0), bytes);
    }

    /// Puts a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.put(path, KIND_LINK | 0o777, (0, 0), target.into());
    }

    /// Puts a device node.
    pub fn node(&mut self, path: &str, node: Node) {
        let (kind, device) = match node {
            Node::Character(major, minor) => (KIND_CHARACTER, (major, minor)),
            Node::Block(major, minor) => (KIND_BLOCK, (major, minor)),
        };
        self.put(path, kind | 0o600, device, Vec::new());
    }

    /// Whether something is there.
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    fn put(&mut self, path: &str, mode: u32, device: (u32, u32), bytes: Vec<u8>) {
        let path = path.trim_matches('/');
        assert!(!path.is_empty() && path != LAST, "an entry has a name of its own");
        if let Some((above, _)) = path.rsplit_once('/')
            && !self.has(above)
        {
            self.folder(above);
        }
        self.entries.insert(path.into(), Entry { mode, device, bytes });
    }

    /// The bytes that the kernel takes.
    pub fn pack(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            pack_entry(&mut packed, number, path, entry);
        }
        pack_entry(&mut packed, 0, LAST, &Entry { mode: 0, device: (0, 0), bytes: Vec::new() });
        packed
    }
}

fn pack_entry(packed: &mut Vec<u8>, number: usize, path: &str, entry: &Entry) {
    let number_of_names = if entry.mode & KIND_FOLDER == KIND_FOLDER { 2 } else { 1 };
    packed.extend_from_slice(b"070701");
    for field in [
        number,
        entry.mode as usize,
        0, // owner
        0, // group
        number_of_names,
        0, // time of change: the same content is the same bytes
        entry.bytes.len(),
        0, // device that the entry itself is on
        0,
        entry.device.0 as usize,
        entry.device.1 as usize,
        path.len() + 1,
        0, // checksum, unused in this form
    ] {
        packed.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    packed.extend_from_slice(path.as_bytes());
    packed.push(0);
    pad(packed);
    packed.extend_from_slice(&entry.bytes);
    pad(packed);
}

fn pad(packed: &mut Vec<u8>) {
    packed.resize(packed.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.file("bin/deep/a", 0o755, b"hello".to_vec());
        archive.link("bin/b", "deep/a");
        archive.node("dev/console", Node::Character(5, 1));
        archive.pack()
    }

    fn place(packed: &[u8], path: &str) -> usize {
        let named = [path.as_bytes(), b"\0"].concat();
        packed.windows(named.len()).position(|part| part == named).unwrap()
    }

    #[test]
    fn folders_stand_before_what_is_in_them() {
        let packed = packed();
        assert!(place(&packed, "bin") < place(&packed, "bin/deep"));
        assert!(place(&packed, "bin/deep") < place(&packed, "bin/deep/a"));
    }

    #[test]
    fn every_entry_begins_at_a_multiple_of_four() {
        let packed = packed();
        let begins = packed.windows(6).enumerate().filter(|(_, part)| part == b"070701");
        let begins: Vec<usize> = begins.map(|(at, _)| at).collect();
        assert_eq!(begins.len(), 7, "bin, bin/b, bin/deep, bin/deep/a, dev, dev/console and the last");
        assert!(begins.iter().all(|at| at % 4 == 0));
    }

    #[test]
    fn a_node_carries_its_numbers_and_a_file_its_length() {
        let packed = packed();
        let field = |path: &str, number: usize| {
            let at = place(&packed, path) - 110 + 6 + number * 8;
            u32::from_str_radix(std::str::from_utf8(&packed[at..at + 8]).unwrap(), 16).unwrap()
        };
        assert_eq!((field("dev/console", 9), field("dev/console", 10)), (5, 1));
        assert_eq!(field("dev/console", 1), 0o020_600);
        assert_eq!((field("bin/deep/a", 6), field("bin/deep/a", 1)), (5, 0o100_755));
    }
}
