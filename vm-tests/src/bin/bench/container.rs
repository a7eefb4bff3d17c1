//! Containers that are made here, on the image files of a guest's disks: a thousand volumes in seconds instead of a quarter of an hour.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use evms::base::id::ClusterId;
use evms::format::label::Label;
use evms::format::layout::{End, HEAD_LABEL_AT, SlotIndex};
use evms::format::model::Model;
use evms::format::slot::SlotImage;
use vm_tests::disk::Disk;
use vm_tests::trouble::Trouble;

/// Bytes of a label.
const LABEL_BYTES: usize = 4096;

/// Makes `data`, of the machine `node`, with so many volumes of so many MiB: each on the next of the disks in turn where they are
/// spread.
pub fn fill(
    evms: &Path,
    disks: &[Disk],
    node: &str,
    (count, volume_mib): (u64, u64),
    is_spread: bool,
) -> Result<(), Trouble> {
    let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
    let evms = |words: &[&str]| {
        let mut command = Command::new(evms);
        command.args(["--as", node]).args(words).env("EVMS_DISKS", paths.join(":"));
        let said = command.output().map_err(Trouble::io("running evms"))?;
        if said.status.success() {
            return Ok(());
        }
        Err(Trouble::Unexpected(String::from_utf8_lossy(&said.stderr).into_owned()))
    };
    let mut create = vec!["container", "create", "data", "--private", "--owner", "me", "--extent", "1M"];
    create.extend(paths.iter().map(String::as_str));
    evms(&create)?;
    for (number, path) in (0..count).zip(paths.iter().cycle()) {
        let (name, size) = (format!("data/v{number}"), format!("{volume_mib}M"));
        let mut words = vec!["volume", "create", &name, "--size", &size];
        words.extend(is_spread.then_some(["--on", path.as_str()]).into_iter().flatten());
        evms(&words)?;
    }
    Ok(())
}

/// Gives it to a cluster, in every copy: no command does that with what is standalone.
pub fn give_to_cluster(disks: &[Disk], cluster: &str) -> Result<(), Trouble> {
    let cluster = ClusterId::parse(cluster);
    let cluster = cluster.ok_or_else(|| Trouble::Unexpected("that is no cluster's identity".into()))?;
    for disk in disks {
        let trouble = || Trouble::file("giving a container to a cluster", disk.path());
        let file = OpenOptions::new().read(true).write(true).open(disk.path()).map_err(trouble())?;
        let mut label = vec![0; LABEL_BYTES];
        file.read_exact_at(&mut label, HEAD_LABEL_AT.0).map_err(trouble())?;
        let label = Label::decode(&label, End::Primary);
        let label = label.map_err(|_| Trouble::Unexpected("no label".into()))?;
        let kinds = [SlotIndex::Zero, SlotIndex::One].map(SlotIndex::kind);
        for area in label.areas.iter().filter(|area| kinds.contains(&area.kind)) {
            let mut slot = vec![0; area.length_bytes().0 as usize];
            file.read_exact_at(&mut slot, area.start_bytes().0).map_err(trouble())?;
            if let Some(slot) = of_cluster(&slot, cluster) {
                file.write_all_at(&slot, area.start_bytes().0).map_err(trouble())?;
            }
        }
        file.sync_all().map_err(trouble())?;
    }
    Ok(())
}

/// `None` where no model stands.
fn of_cluster(slot: &[u8], cluster: ClusterId) -> Option<Vec<u8>> {
    let SlotImage { mut header, body } = SlotImage::decode(slot).ok()?;
    let mut model = Model::decode(&body).ok()?;
    model.container.cluster = cluster;
    // Under a number that was never used, and made of nothing: another content under a known one is a conflict.
    header.order.generation.0 += 1000;
    (header.parent_order, header.parent) = Default::default();
    Some(SlotImage::new(header, model.encode()?)?.encode())
}
