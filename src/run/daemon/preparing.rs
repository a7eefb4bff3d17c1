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
use crate::run::daemon::DaemonError;
use crate::run::daemon::agreed::{self, AGREED};
use crate::run::daemon::settings::{self, CONFIG};
use crate::run::failure::RunError;
use crate::run::take::{self, Taking};

/// Where the names of disks are that stay the same.
const BY_ID: &str = "/dev/disk/by-id";

/// Makes `path` an arbitration disk of the cluster whose configuration is at `config`; what has to be written there.
/// What `wipe` names may be overwritten.
pub fn prepare(config: &Path, path: &Path, wipe: Vec<String>) -> Result<ArbitrationDisk, DaemonError> {
    let roster = settings::roster(config)?;
    // One that was taken out of the file alone is in use until the nodes agree on that.
    let known = agreed::may_be_gone_by()?;
    refuse_named([&roster].into_iter().chain(&known), path)?;
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
fn refuse_named<'a>(rosters: impl Iterator<Item = &'a Roster>, path: &Path) -> Result<(), DaemonError> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let mut disks = rosters.flat_map(|roster| &roster.arbitration);
    let named = disks.find(|disk| real(Path::new(&disk.path)) == real(path));
    named.map_or(Ok(()), |disk| {
        let words = format!(
            "{} is an arbitration disk in use: {CONFIG} names it, or what this node goes by ({AGREED}); nothing was written; take it \
             out of {CONFIG} on one node first, with the next generation, and send evmsd there SIGHUP: when the nodes have agreed \
             on that, say this again",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(disks: &[&str]) -> Roster {
        let mut text =
            "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = 4\n".to_string();
        for (place, disk) in disks.iter().enumerate() {
            let id = DiskId([place as u8 + 1; 16]);
            text += &ArbitrationDisk { path: disk.to_string(), id }.to_text();
        }
        Roster::parse(&text).unwrap()
    }

    /// What the file does not name any more was promised to others until they agree on that.
    #[test]
    fn a_disk_is_in_use_until_the_nodes_agree_that_it_is_not() {
        let (file, kept) = (naming(&[]), naming(&["/dev/evms-none-1"]));
        let refused =
            |rosters: &[&Roster], path: &str| refuse_named(rosters.iter().copied(), Path::new(path)).is_err();
        assert!(refused(&[&file, &kept], "/dev/evms-none-1"));
        assert!(refused(&[&kept, &file], "/dev/evms-none-1"));
        assert!(!refused(&[&file, &kept], "/dev/evms-none-2"));
        assert!(!refused(&[&file], "/dev/evms-none-1"));
    }
}
