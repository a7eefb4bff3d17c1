//! What became of the last call of a node's fence agents, for people: a file for each machine in `/run/evms`, in one line. Nothing is
//! decided by it.

use std::path::{Path, PathBuf};

use crate::base::id::NodeUuid;
use crate::host::run_dir::RUN;
use crate::host::secret;

/// Bytes of it at most.
const BYTES_MAX: usize = 400;

fn path(victim: NodeUuid) -> PathBuf {
    Path::new(RUN).join(format!("fence-{victim}"))
}

/// Leaves this. That it could not is nobody's trouble: the log says the same.
pub fn write(victim: NodeUuid, words: &str) {
    let line =
        words.char_indices().take_while(|(at, _)| *at < BYTES_MAX).map(|(_, one)| one).collect::<String>();
    let _ = secret::replace(&path(victim), &format!("{line}\n"));
}

/// What was left in this boot; empty when nothing was.
pub fn read(victim: NodeUuid) -> String {
    secret::text(&path(victim)).map(|text| text.trim_end().to_string()).unwrap_or_default()
}
