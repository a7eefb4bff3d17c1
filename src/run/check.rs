//! `check`: every copy of everything is read and compared; with `--repair` what is damaged is written anew from what
//! is sound. Without it, nothing is written.

use crate::base::failure::{Failure, Kind};
use crate::engine::guard::{self, Act, Mandate};
use crate::format::layout::{AreaKind, End};
use crate::format::node_block::NodeBlocks;
use crate::host::disk::OpenDisk;
use crate::host::disk_error::DiskError;
use crate::run::change::{Errand, Held};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::labels;
use crate::run::listing::{problems, shown_name, unsettled};
use crate::run::report::{CheckReport, Finding};
use crate::run::scene::{Scene, Seen, read_long};
use crate::run::writable;
use crate::volume::check;
use crate::volume::commit::Labels;
use crate::volume::discover::{DiskWord, Found, Read, Sighting};
use crate::volume::mistake::Rules;

/// Cannot be trusted, or is lost.
pub const DAMAGE: &str = "damage";
/// Works, and should be seen to.
pub const WARNING: &str = "warning";

/// Nodes that a finding names.
const NODES_SHOWN_MAX: usize = 4;

fn finding(name: &str, weight: &'static str, words: String, repairable: bool) -> Finding {
    Finding { name: name.into(), weight, words, repairable, repaired: false }
}

impl Context {
    /// `check [NAME…] [--repair]`.
    pub fn check(&mut self, names: &[String], repair: bool) -> Result<CheckReport, RunError> {
        let (mut report, mend) = self.inspected(names)?;
        if !repair {
            return Ok(report);
        }
        let mut unmended = Vec::new();
        for name in mend {
            if let Err(error) = self.repair(&name, names.contains(&name)) {
                let weight = if error.kind() == Kind::Damage { DAMAGE } else { WARNING };
                unmended.push(finding(&name, weight, format!("was not mended: {error}"), false));
            }
        }
        // A dry run looked at all of it and mended nothing.
        if !self.options.dry_run {
            let (after, _) = self.inspected(names)?;
            let left = |finding: &Finding| after.findings.iter().any(|other| other.is_same(finding));
            report.findings.iter_mut().for_each(|finding| finding.repaired = !left(finding));
            let new = after.findings.into_iter();
            let new = new.filter(|finding| !report.findings.iter().any(|other| other.is_same(finding)));
            report.findings.extend(new.collect::<Vec<_>>());
        }
        report.findings.extend(unmended);
        Ok(report)
    }

    /// All that is to be said of these containers, or of all and of the disks besides, and what can be mended.
    fn inspected(&self, names: &[String]) -> Result<(CheckReport, Vec<String>), RunError> {
        let scene = self.look()?;
        for name in names {
            if scene.containers_named(name).is_empty() {
                crate::run::change::find(&scene, name)?;
            }
        }
        let named =
            |found: &Found, name: &String| scene.containers_named(name).iter().any(|one| one.id == found.id);
        let wanted = |found: &&Found| names.is_empty() || names.iter().any(|name| named(found, name));
        Ok(inspect(&scene, scene.containers.iter().filter(wanted), names.is_empty()))
    }

    /// Labels first, so that every disk is a member in full; then the model is written twice, so that every slot of
    /// every disk holds it or its parent. Data that nobody knows is written over only where the container was `named`.
    fn repair(&mut self, name: &str, named: bool) -> Result<(), RunError> {
        {
            let held = self.hold_to_mend(name, Act::Change, &[])?;
            if !named {
                writable::refuse_strange_fronts(name, &held.scene, &held.found)?;
            }
            self.may_go_on(&held, held.chosen()?)?;
            self.relabel(&held)?;
        }
        for again in [true, false] {
            let held = if self.options.dry_run {
                self.hold_to_mend(name, Act::Change, &[])?
            } else {
                self.hold(name, Act::Change)?
            };
            self.run(Errand { held: &held, request: None, act: Act::Change, joining: Vec::new() })?;
            if again {
                self.forget_damaged_blocks(&held)?;
            }
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
                let disk = held.scene.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
                let size = disk.map_or(read.labelled.label.size_bytes(), OpenDisk::size);
                paper.push_relabel(lane, &read.labelled.label, size);
            }
        }
        self.write_paper(paper, &mandate, held)
    }

    /// Blanks node blocks that cannot be read: the opening before went above what they may have promised.
    fn forget_damaged_blocks(&mut self, held: &Held) -> Result<(), RunError> {
        let mandate =
            guard::may(&held.chosen()?.model, &self.machine, held.scene.place_of(&held.found), Act::Change)
                .map_err(RunError::Denied)?;
        let mut paper = Labels::new(held.members(), Rules::ALL);
        for (lane, read) in held.found.disks.iter().enumerate() {
            let damaged = node_blocks(&held.scene, read).map_err(RunError::Disk)?.damaged;
            if !damaged.is_empty() {
                paper.push_forget(lane, &damaged);
            }
        }
        self.write_paper(paper, &mandate, held)
    }

    fn write_paper(&mut self, mut paper: Labels, mandate: &Mandate, held: &Held) -> Result<(), RunError> {
        let mut hands = self.hands(held.disks());
        labels::drive(&mut paper, mandate, &mut hands);
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
    let unsettled = found.chosen.as_ref().map_or(Vec::new(), |chosen| unsettled(chosen, name));
    for words in problems(scene, found) {
        let hard = found.chosen.is_err() || !found.clones.is_empty();
        out.push(finding(
            name,
            if hard { DAMAGE } else { WARNING },
            words.clone(),
            unsettled.contains(&words),
        ));
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
    if let Some(damage) = &read.intent_damage {
        out.push(finding(
            name,
            WARNING,
            format!("disk {number} ({path}): {damage}; no change of ids hangs on it"),
            false,
        ));
    }
    match found.word(read) {
        DiskWord::Stale | DiskWord::Empty | DiskWord::Damaged if found.chosen.is_ok() => {
            out.push(on("does not hold the newest model".into(), WARNING));
        }
        DiskWord::Released => out.push(on("was let go and carries its label still".into(), WARNING)),
        _ => (),
    }
    out.extend(blocks_of(scene, read).map(|words| on(words, WARNING)));
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

fn node_blocks(scene: &Scene, read: &Read) -> Result<NodeBlocks, DiskError> {
    let area = read.labelled.layout.area(AreaKind::NodeBlocks, End::Primary);
    let disk = scene.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
    let bytes = disk.map(|disk| read_long(disk, area.start_bytes(), area.length_bytes().0));
    Ok(NodeBlocks::decode(&bytes.transpose()?.unwrap_or_default()))
}

/// Nodes of which neither block can be read, or why the blocks could not be looked at.
fn blocks_of(scene: &Scene, read: &Read) -> Option<String> {
    let damaged = match node_blocks(scene, read) {
        Ok(blocks) => blocks.damaged,
        Err(error) => return Some(error.to_string()),
    };
    let ids = damaged.iter().take(NODES_SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = match damaged.len().saturating_sub(NODES_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!damaged.is_empty()).then(|| format!("neither block of node {ids}{more} can be read"))
}

/// Is something left that makes `check` end with the exit code of damage?
pub fn damaged(report: &CheckReport) -> bool {
    report.findings.iter().any(|finding| finding.weight == DAMAGE && !finding.repaired)
}
