//! `check`: every copy of everything is read and compared; with `--repair` what is damaged is written anew from what
//! is sound. Without it, nothing is written.

use crate::base::failure::Failure;
use crate::engine::guard::{self, Act};
use crate::format::layout::{AreaKind, End};
use crate::format::node_block::NodeBlocks;
use crate::run::change::{Errand, Held};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::labels;
use crate::run::listing::{problems, shown_name};
use crate::run::report::{CheckReport, Finding};
use crate::run::scene::{Scene, Seen, read_long};
use crate::volume::check;
use crate::volume::commit::Labels;
use crate::volume::discover::{DiskWord, Found, Read, Sighting};
use crate::volume::mistake::Rules;

/// Cannot be trusted, or is lost.
pub const DAMAGE: &str = "damage";
/// Works, and should be seen to.
pub const WARNING: &str = "warning";

fn finding(name: &str, weight: &'static str, words: String, repairable: bool) -> Finding {
    Finding { name: name.into(), weight, words, repairable, repaired: false }
}

impl Context {
    /// `check [NAME…] [--repair]`.
    pub fn check(&mut self, names: &[String], repair: bool) -> Result<CheckReport, RunError> {
        let (mut report, mend) = {
            let scene = self.look()?;
            for name in names {
                if scene.containers_named(name).is_empty() {
                    crate::run::change::find(&scene, name)?;
                }
            }
            let wanted = |found: &&Found| {
                names.is_empty()
                    || names
                        .iter()
                        .any(|name| scene.containers_named(name).iter().any(|one| one.id == found.id))
            };
            inspect(&scene, scene.containers.iter().filter(wanted), names.is_empty())
        };
        if !repair {
            return Ok(report);
        }
        for name in mend {
            match self.repair(&name) {
                // A dry run looked at all of it and mended nothing.
                Ok(()) if self.options.dry_run => (),
                Ok(()) => {
                    let mended = report
                        .findings
                        .iter_mut()
                        .filter(|finding| finding.name == name && finding.repairable);
                    mended.for_each(|finding| finding.repaired = true);
                }
                Err(error) => {
                    let words = format!("was not mended: {error}");
                    let weight =
                        if error.kind() == crate::base::failure::Kind::Damage { DAMAGE } else { WARNING };
                    report.findings.push(finding(&name, weight, words, false));
                }
            }
        }
        Ok(report)
    }

    /// Labels first, so that every disk is a member in full; then the model is written twice, so that every slot of
    /// every disk holds it or its parent.
    fn repair(&mut self, name: &str) -> Result<(), RunError> {
        {
            let held = self.hold(name, Act::Change)?;
            self.relabel(&held)?;
        }
        for _ in 0..2 {
            let held = self.hold(name, Act::Change)?;
            self.run(Errand { held: &held, request: None, act: Act::Change, joining: Vec::new() })?;
        }
        Ok(())
    }

    fn relabel(&mut self, held: &Held) -> Result<(), RunError> {
        let mandate =
            guard::may(&held.chosen()?.model, &self.machine, held.scene.place_of(&held.found), Act::Change)
                .map_err(RunError::Denied)?;
        let mut paper = Labels::new(held.members(), Rules::ALL);
        for (lane, read) in held.found.disks.iter().enumerate() {
            if !read.labelled.damaged.is_empty() {
                paper.push_relabel(lane, &read.labelled.label);
            }
        }
        let mut hands = self.hands(held.disks());
        labels::drive(&mut paper, &mandate, &mut hands);
        match hands.errors.first() {
            Some((_, error)) => Err(RunError::Disk(error.clone())),
            None => Ok(()),
        }
    }
}

/// All findings, and the names of containers in which something can be mended.
fn inspect<'a>(
    scene: &Scene,
    founds: impl Iterator<Item = &'a Found>,
    disks_too: bool,
) -> (CheckReport, Vec<String>) {
    let mut report = CheckReport { disks: scene.disks.len(), ..CheckReport::default() };
    let mut mend = Vec::new();
    if disks_too {
        report.findings.extend(scene.disks.iter().filter_map(of_disk));
    }
    for found in founds {
        let name = shown_name(found);
        let findings = of_container(scene, found, &name);
        if findings.iter().any(|finding| finding.repairable) {
            mend.push(name.clone());
        }
        report.containers.push(name);
        report.findings.extend(findings);
    }
    (report, mend)
}

fn of_disk(seen: &Seen) -> Option<Finding> {
    let name = seen.path.display().to_string();
    match &seen.sighting {
        Ok(Sighting::Unusable(why)) => Some(finding(&name, DAMAGE, why.to_string(), false)),
        Err(error) if seen.declined.is_none() => Some(finding(&name, DAMAGE, error.to_string(), false)),
        _ => None,
    }
}

fn of_container(scene: &Scene, found: &Found, name: &str) -> Vec<Finding> {
    let mut out = Vec::new();
    for words in problems(scene, found) {
        let hard = found.chosen.is_err() || !found.clones.is_empty();
        out.push(finding(name, if hard { DAMAGE } else { WARNING }, words, false));
    }
    if let Ok(chosen) = &found.chosen {
        let laws = check::all(&chosen.model).into_iter();
        out.extend(
            laws.map(|broken| finding(name, DAMAGE, format!("its model breaks a law: {broken}"), false)),
        );
    }
    for read in &found.disks {
        out.extend(of_member(scene, found, read, name));
    }
    out
}

fn of_member(scene: &Scene, found: &Found, read: &Read, name: &str) -> Vec<Finding> {
    let number = read.labelled.label.number;
    let path = scene.disks.get(read.place).map_or(String::new(), |seen| seen.path.display().to_string());
    let on = |words: String, weight| finding(name, weight, format!("disk {number} ({path}): {words}"), true);
    let mut out = Vec::new();
    for (end, damage) in &read.labelled.damaged {
        if !(read.labelled.grown && *end == End::Secondary) {
            out.push(on(format!("in the {end} end {damage}"), DAMAGE));
        }
    }
    for (end, index, copy) in &read.copies.slots {
        if let Err(damage) = copy
            && !damage.is_blank()
        {
            out.push(on(format!("slot {} of the {end} end: {damage}", index.number()), DAMAGE));
        }
    }
    out.extend(ends_differ(read).map(|words| on(words, WARNING)));
    match found.word(read) {
        DiskWord::Stale | DiskWord::Empty | DiskWord::Damaged if found.chosen.is_ok() => {
            out.push(on("does not hold the newest model".into(), WARNING));
        }
        DiskWord::Released => out.push(on("was let go and carries its label still".into(), WARNING)),
        _ => (),
    }
    out.extend(blocks_of(scene, read).into_iter().map(|words| finding(name, WARNING, words, false)));
    out
}

/// The newest model stands at one end only.
fn ends_differ(read: &Read) -> Option<String> {
    let (_, newest) = read.copies.newest()?;
    let hash = newest.header.hash;
    let at = |end| {
        read.copies
            .slots
            .iter()
            .any(|(e, _, copy)| *e == end && copy.as_ref().is_ok_and(|image| image.header.hash == hash))
    };
    let missing = End::BOTH.into_iter().find(|end| !at(*end))?;
    Some(format!("its newest model is not in the {missing} end"))
}

fn blocks_of(scene: &Scene, read: &Read) -> Vec<String> {
    let area = read.labelled.layout.area(AreaKind::NodeBlocks, End::Primary);
    let disk = scene.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
    let bytes = disk.map(|disk| read_long(disk, area.start_bytes(), area.length_bytes().0));
    match bytes {
        Some(Ok(bytes)) => {
            let damaged = NodeBlocks::decode(&bytes).damaged;
            let ids = damaged.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more =
                if damaged.len() > 4 { format!(" and {} more", damaged.len() - 4) } else { String::new() };
            let number = read.labelled.label.number;
            let words = format!(
                "disk {number}: both blocks of node {ids}{more} are damaged; the node writes them anew"
            );
            if damaged.is_empty() { Vec::new() } else { vec![words] }
        }
        Some(Err(error)) => vec![error.to_string()],
        None => Vec::new(),
    }
}

/// Is something left that makes `check` end with the exit code of damage?
pub fn damaged(report: &CheckReport) -> bool {
    report.findings.iter().any(|finding| finding.weight == DAMAGE && !finding.repaired)
}
