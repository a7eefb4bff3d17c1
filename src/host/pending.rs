//! Takeovers of this boot that are not at their end: a file each in `/run/evms`, made before the container is taken and gone when its
//! volumes are up, or taken down again. What was cut off in between is known by it, and what an administrator took down is not brought
//! up behind his back.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::base::id::ContainerId;
use crate::host::run_dir::RUN;

/// Of the names of these files.
const PREFIX: &str = "taking-";

fn path(container: ContainerId) -> PathBuf {
    Path::new(RUN).join(format!("{PREFIX}{container}"))
}

/// It is about to be taken.
pub fn begin(container: ContainerId) -> io::Result<()> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path(container));
    open.map(drop)
}

/// Was it begun, and did not come to its end?
pub fn is_pending(container: ContainerId) -> bool {
    path(container).exists()
}

/// All that were begun and did not come to their end.
pub fn all() -> Vec<ContainerId> {
    let entries = fs::read_dir(RUN).into_iter().flatten().flatten();
    let id = |entry: fs::DirEntry| ContainerId::parse(entry.file_name().to_str()?.strip_prefix(PREFIX)?);
    entries.filter_map(id).collect()
}

/// It is at its end, or given up.
pub fn end(container: ContainerId) {
    // Not there, it is at its end already.
    let _ = fs::remove_file(path(container));
}
