//! `evmsd prepare`: a disk becomes an arbitration disk of this cluster, unless anything is on it.

use std::path::{Path, PathBuf};

use crate::base::failure::Kind;
use crate::base::id::DiskId;
use crate::base::limits::DEEP_LOOK_BYTES;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::cluster::roster::{ArbitrationDisk, Roster};
use crate::format::arbitration::{ArbitrationHead, DISK_BYTES_MIN};
use crate::host::disk::OpenDisk;
use crate::host::disk_error::DiskError;
use crate::host::entropy;
use crate::run::daemon::{DaemonError, settings};
use crate::run::failure::RunError;
use crate::run::take::{self, Taking};

/// Where the names of disks are that stay the same.
const BY_ID: &str = "/dev/disk/by-id";

/// Makes `path` an arbitration disk of the cluster whose configuration is at `config`; what has to be written there.
/// What `wipe` names may be overwritten.
pub fn prepare(config: &Path, path: &Path, wipe: Vec<String>) -> Result<ArbitrationDisk, DaemonError> {
    let roster = settings::roster(config)?;
    refuse_named(&roster, path)?;
    let taking = Taking { wipe, slot: None };
    taking.check_words().map_err(DaemonError::Disk)?;
    let scene = take::open(&[path.into()], false).map_err(DaemonError::Disk)?;
    let seen = scene.disks.first().ok_or(DaemonError::Differs("no disk was named".into()))?;
    let disk = taking.judge(seen).map_err(DaemonError::Disk)?;
    if disk.size() < DISK_BYTES_MIN {
        let shown = path.display();
        let words =
            format!("{shown} has {}, and an arbitration disk has {DISK_BYTES_MIN} at least", disk.size());
        return Err(DaemonError::Disk(RunError::say(
            Kind::Refused,
            [&words, "; nothing was written"].concat(),
        )));
    }
    let id = DiskId::random(&mut entropy::dice().map_err(DaemonError::Entropy)?);
    let head = ArbitrationHead { cluster: roster.configuration.cluster, disk: id };
    write(disk, head).map_err(|error| DaemonError::Disk(RunError::Disk(error)))?;
    Ok(ArbitrationDisk { path: lasting_name(path).display().to_string(), id })
}

/// One that the configuration names is in use: what stands there was promised to others.
fn refuse_named(roster: &Roster, path: &Path) -> Result<(), DaemonError> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let named = roster.arbitration.iter().find(|disk| real(Path::new(&disk.path)) == real(path));
    named.map_or(Ok(()), |disk| {
        let words = format!(
            "{} is an arbitration disk in use: the configuration names it; take it out there first, on all nodes, which is one \
             generation; nothing was written",
            disk.path
        );
        Err(DaemonError::Disk(RunError::say(Kind::Refused, words)))
    })
}

/// The head goes last: a disk that has one has blank blocks behind it.
fn write(disk: &OpenDisk, head: ArbitrationHead) -> Result<(), DiskError> {
    let usable = disk.size().round_down(BLOCK_BYTES).0;
    let blank = usize::try_from(DEEP_LOOK_BYTES.min(usable)).unwrap_or(0);
    let zeros = vec![0; blank];
    disk.write(Bytes(usable - blank as u64), &zeros)?;
    disk.write(Bytes::ZERO, &zeros)?;
    disk.flush()?;
    disk.write(Bytes::ZERO, &head.encode())?;
    disk.flush()
}

/// The same disk by a name that it has on every node, if it has one.
fn lasting_name(path: &Path) -> PathBuf {
    let Ok(real) = std::fs::canonicalize(path) else { return path.into() };
    let names = std::fs::read_dir(BY_ID).into_iter().flatten().flatten().map(|entry| entry.path());
    let leads_here = |name: &PathBuf| std::fs::canonicalize(name).is_ok_and(|other| other == real);
    let mut names = names.filter(leads_here).collect::<Vec<_>>();
    crate::base::sorted::sort(&mut names);
    // By its world-wide name rather than by its maker's.
    let wwn = names.iter().find(|name| name.to_string_lossy().contains("/wwn-")).cloned();
    wwn.or_else(|| names.into_iter().next()).unwrap_or(real)
}
