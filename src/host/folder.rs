//! Names in a folder, straight from the kernel. The C library's way allocates with an allocator of its own, which alone
//! costs more than the names of a hundred disks.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::base::sorted::sort;
use crate::host::sys;

/// Bytes read at a time; room for a hundred names.
const PIECE_BYTES: usize = 4096;
/// Bytes of entries that one folder may have: sysfs has some thousands of the longest names at most.
const FOLDER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the fields of `struct linux_dirent64` are.
const LENGTH_AT: usize = 16;
const KIND_AT: usize = 18;
const NAME_AT: usize = 19;
/// `DT_DIR`.
const KIND_FOLDER: u8 = 4;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Is it a folder itself?
    pub is_folder: bool,
}

/// All entries of a folder but itself and the one above, by name.
pub fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let folder = File::open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let (mut found, mut read) = (Vec::new(), 0);
    loop {
        let bytes = sys::next_entries(&folder, &mut piece).map_err(io::Error::from)?;
        if bytes == 0 {
            // Names in a folder are all different; the stable way would want memory of its own.
            sort(&mut found);
            return Ok(found);
        }
        read += bytes;
        if read > FOLDER_BYTES_MAX {
            return Err(io::Error::from(Errno::EFBIG));
        }
        found.extend(Entries { rest: piece.get(..bytes).unwrap_or_default() });
    }
}

/// The entries of one piece, checked like everything that comes from outside.
struct Entries<'a> {
    rest: &'a [u8],
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let length = self.rest.get(LENGTH_AT..KIND_AT)?.try_into().ok().map(u16::from_ne_bytes)?;
            let (entry, rest) = self.rest.split_at_checked(usize::from(length))?;
            let name = entry.get(NAME_AT..)?;
            let name = name.get(..name.iter().position(|&byte| byte == 0)?)?;
            let is_folder = *entry.get(KIND_AT)? == KIND_FOLDER;
            self.rest = rest;
            if name != b"." && name != b".." {
                return Some(Entry { name: String::from_utf8_lossy(name).into_owned(), is_folder });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_that_the_library_tells() {
        for path in ["/proc/self", "/dev", env!("CARGO_MANIFEST_DIR")] {
            let mut wanted = std::fs::read_dir(path).unwrap().flatten().map(|entry| Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_folder: entry.file_type().unwrap().is_dir(),
            });
            let mut wanted = wanted.by_ref().collect::<Vec<_>>();
            wanted.sort();
            assert_eq!(entries(Path::new(path)).unwrap(), wanted, "{path}");
        }
        assert_eq!(entries(Path::new("/nowhere")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_nonsense_answer_ends() {
        for piece in [vec![0; 40], vec![0xff; 40], vec![1; 18], Vec::new()] {
            assert_eq!(Entries { rest: &piece }.count(), 0, "{piece:?}");
        }
    }
}
