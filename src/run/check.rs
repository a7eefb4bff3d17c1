//! `check`: every copy of everything is read and compared; with `--repair` what is damaged is written anew from what
//! is sound. Without it, nothing is written.

use std::path::PathBuf;

use crate::base::failure::{Failure, Kind};
use crate::base::id::{ContainerId, NodeId};
use crate::engine::guard::{Act, Mandate};
use crate::format::layout::{AreaKind, End};
use crate::format::node_block::NodeBlocks;
use crate::host::disk::OpenDisk;
use crate::host::disk_error::DiskError;
use crate::run::change::{Errand, Held, write_lines};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::labels;
use crate::run::listing::{problems, shown_name, unsettled, word_for};
use crate::run::look::read_long;
use crate::run::report::{CheckReport, Finding, WriteLine};
use crate::run::scene::{Scene, Seen};
use crate::run::strays;
use crate::run::writable;
use crate::volume::check;
use crate::volume::commit::Labels;
use crate::volume::discover::{Deletion, DiskWord, Found, Read, Sighting};
use crate::volume::mistake::Rules;

/// Cannot be trusted, or is lost.
pub const DAMAGE: &str = "damage";
/// Works, and should be seen to.
pub const WARNING: &str = "warning";

/// Nodes that a finding names.
const NODES_SHOWN_MAX: usize = 4;
/// A round of openings that no container reaches: an opening every millisecond for four thousand years.
const ROUND_SANE_MAX: u64 = 1 << 47;

fn finding(name: &str, weight: &'static str, words: String, repairable: bool) -> Finding {
    Finding { name: name.into(), weight, words, repairable, repaired: false, of: None }
}

/// A container that was looked at.
struct Looked {
    id: ContainerId,
    /// What it is called, by its id where the name is not its alone.
    word: String,
    /// Did the user name it?
    named: bool,
    /// Can something of it be mended?
    mend: bool,
    /// Its member disks that were read; one that was let go is not missed when a repair frees it.
    disks: Vec<PathBuf>,
}

impl Context {
    /// `check [NAME…] [--repair]`.
    pub fn check(&mut self, names: &[String], repair: bool) -> Result<CheckReport, RunError> {
        let (mut report, looked) = self.inspected(names)?;
        if !repair {
            return Ok(report);
        }
        let mut mended = Vec::new();
        let mut unmended = Vec::new();
        for one in looked.into_iter().filter(|one| one.mend) {
            match self.repair(&one) {
                Ok(writes) => {
                    report.writes.extend(writes);
                    mended.push(one);
                }
                Err(error) => {
                    let weight = if error.kind() == Kind::Damage { DAMAGE } else { WARNING };
                    unmended.push(finding(&one.word, weight, format!("was not mended: {error}"), false));
                    report.refused = report.refused.or(Some(error.kind()));
                }
            }
        }
        // A dry run looked at all of it and mended nothing.
        if !self.options.dry_run {
            self.look_again(names, &mut report, &mended);
        }
        report.findings.extend(unmended);
        Ok(report)
    }

    /// What is gone now is mended, where the container's repair went through and all the disks are here that were.
    fn look_again(&self, names: &[String], report: &mut CheckReport, mended: &[Looked]) {
        let (after, looked) = match self.inspected(names) {
            Ok(again) => again,
            Err(error) => {
                let words = format!("whether all was mended is not known: {error}");
                report.findings.push(finding("check", WARNING, words, false));
                report.refused = report.refused.or(Some(error.kind()));
                return;
            }
        };
        let as_many = |before: &&Looked| {
            looked
                .iter()
                .any(|now| now.id == before.id && before.disks.iter().all(|disk| now.disks.contains(disk)))
        };
        let sound = mended.iter().filter(as_many).map(|one| one.id).collect::<Vec<_>>();
        for finding in &mut report.findings {
            let left = after.findings.iter().any(|other| other.is_same(finding));
            finding.repaired = !left && finding.of.is_some_and(|id| sound.contains(&id));
        }
        let new = after.findings.into_iter();
        let new = new.filter(|finding| !report.findings.iter().any(|other| other.is_same(finding)));
        report.findings.extend(new.collect::<Vec<_>>());
    }

    /// All that is to be said of these containers, or of all and of the disks besides.
    fn inspected(&self, names: &[String]) -> Result<(CheckReport, Vec<Looked>), RunError> {
        let scene = self.look()?;
        for name in names {
            if scene.containers_named(name).is_empty() {
                crate::run::change::find(&scene, name)?;
            }
        }
        let (mut report, looked) = inspect(&scene, names);
        if names.is_empty() {
            report.findings.extend(
                strays::of(&scene).into_iter().map(|(name, words)| finding(&name, WARNING, words, false)),
            );
        }
        Ok((report, looked))
    }

    /// Labels first, so that every disk is a member in full; then the model is written twice, so that every slot of
    /// every disk holds it or its parent. Data that nobody knows is written over only where the container was named.
    fn repair(&mut self, one: &Looked) -> Result<Vec<WriteLine>, RunError> {
        let name = one.word.as_str();
        let mut writes = {
            let held = self.hold_to_mend(name, Act::Mend, &[])?;
            if !one.named {
                writable::refuse_strange_fronts(name, &held.scene, &held.found)?;
            }
            let chosen = held.chosen()?;
            if held.found.deletion() != Deletion::Settled {
                self.may_go_on(&held, chosen)?;
            }
            let writes = self.relabel(&held)?;
            let place = held.scene.place_of(&held.found);
            if let Err(denied) = self.may(&chosen.model, place, Act::Change) {
                // Nobody's: its labels may be mended, and no more is for us to write.
                return if held.found.disks.iter().any(relabels) {
                    Ok(writes)
                } else {
                    Err(RunError::Denied(denied))
                };
            }
            writes
        };
        for again in [true, false] {
            let held = if self.options.dry_run {
                self.hold_to_mend(name, Act::Change, &[])?
            } else {
                self.hold(name, Act::Change)?
            };
            let changed =
                self.run(Errand { held: &held, request: None, act: Act::Change, joining: Vec::new() })?;
            if again {
                writes.extend(changed.writes);
                writes.extend(self.forget_damaged_blocks(&held)?);
            }
        }
        Ok(writes)
    }

    fn relabel(&mut self, held: &Held) -> Result<Vec<WriteLine>, RunError> {
        let mandate = self
            .may(&held.chosen()?.model, held.scene.place_of(&held.found), Act::Mend)
            .map_err(RunError::Denied)?;
        let mut paper = Labels::new(held.members(), Rules::ALL);
        for (lane, read) in held.found.disks.iter().enumerate() {
            if relabels(read) {
                let disk = held.scene.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
                let size = disk.map_or(read.labelled.label.size_bytes(), OpenDisk::size);
                paper.push_relabel(lane, &read.labelled.label, size);
            }
        }
        self.write_paper(paper, &mandate, held)
    }

    /// Blanks node blocks that cannot be read: the opening before went above what they may have promised. And records of a
    /// change of ids: a container in the middle of one is not held at all.
    fn forget_damaged_blocks(&mut self, held: &Held) -> Result<Vec<WriteLine>, RunError> {
        let mandate = self
            .may(&held.chosen()?.model, held.scene.place_of(&held.found), Act::Change)
            .map_err(RunError::Denied)?;
        let cluster = held.chosen()?.model.container.cluster;
        let own = self.principal(cluster).warrant_of(cluster).map(|warrant| warrant.node);
        let mut paper = Labels::new(held.members(), Rules::ALL);
        for (lane, read) in held.found.disks.iter().enumerate() {
            let mut damaged = node_blocks(&held.scene, read).map_err(RunError::Disk)?.damaged;
            // Of another node of a cluster: it may promise something there just now.
            damaged.retain(|id| cluster.is_none() || own == Some(*id));
            if !damaged.is_empty() {
                paper.push_forget(lane, &damaged);
            }
            if is_rotten_intent(read) {
                paper.push_forget_intent(lane);
            }
        }
        self.write_paper(paper, &mandate, held)
    }

    fn write_paper(
        &mut self,
        mut paper: Labels,
        mandate: &Mandate,
        held: &Held,
    ) -> Result<Vec<WriteLine>, RunError> {
        let disks = held.disks();
        let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
        let mut hands = self.hands(disks);
        labels::drive(&mut paper, mandate, &mut hands);
        match hands.failure(&held.name) {
            Some(error) => Err(error),
            None if self.options.dry_run => Ok(write_lines(&hands, &paths)),
            None => Ok(Vec::new()),
        }
    }
}

fn is_member(found: &Found, read: &Read) -> bool {
    !matches!(found.word(read), DiskWord::NotMember | DiskWord::Released)
}

/// Is the record of a change of ids there and nothing that anybody can read? A newer program may read what we cannot.
fn is_rotten_intent(read: &Read) -> bool {
    read.intent_damage.as_ref().is_some_and(|damage| !damage.is_newer())
}

/// Is a label or the first block of this disk to be written anew?
fn relabels(read: &Read) -> bool {
    !read.labelled.damaged.is_empty()
}

/// All findings, and what was looked at.
fn inspect(scene: &Scene, names: &[String]) -> (CheckReport, Vec<Looked>) {
    let mut report = CheckReport { disks: scene.disks.len(), ..CheckReport::default() };
    let mut all = Vec::new();
    if names.is_empty() {
        report.findings.extend(scene.disks.iter().filter_map(of_disk));
        // It may hold anything: what cannot be read is no damage, and no reason to say that all is well.
        let failed = |seen: &Seen| seen.declined.is_none() && seen.sighting.is_err();
        report.refused = scene.disks.iter().any(failed).then_some(Kind::Device);
    }
    let path = |read: &Read| Some(scene.disks.get(read.place)?.path.clone());
    for found in &scene.containers {
        let named =
            names.iter().any(|name| scene.containers_named(name).iter().any(|one| one.id == found.id));
        if !names.is_empty() && !named {
            continue;
        }
        let name = shown_name(found);
        let mut findings = of_container(scene, found, &name);
        findings.iter_mut().for_each(|finding| finding.of = Some(found.id));
        all.push(Looked {
            id: found.id,
            word: word_for(scene, found),
            named,
            mend: findings.iter().any(|finding| finding.repairable),
            disks: found.disks.iter().filter(|read| is_member(found, read)).filter_map(path).collect(),
        });
        report.containers.push(name);
        report.findings.extend(findings);
    }
    (report, all)
}

fn of_disk(seen: &Seen) -> Option<Finding> {
    let name = seen.path.display().to_string();
    match &seen.sighting {
        Ok(Sighting::Unusable(why)) => Some(finding(&name, DAMAGE, why.to_string(), false)),
        Err(error) if seen.declined.is_none() => Some(finding(&name, WARNING, told_of(&name, error), false)),
        _ => None,
    }
}

/// What a disk's error says, without its path, which stands before it already.
fn told_of(path: &str, error: &DiskError) -> String {
    let words = error.to_string();
    words.strip_prefix(path).and_then(|rest| rest.strip_prefix(": ")).map_or(words.clone(), str::to_string)
}

fn of_container(scene: &Scene, found: &Found, name: &str) -> Vec<Finding> {
    let mut out = Vec::new();
    let unsettled = match (&found.chosen, found.deletion()) {
        (Ok(chosen), Deletion::No) => unsettled(chosen, name),
        _ => Vec::new(),
    };
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
            is_rotten_intent(read) && found.intent().is_none(),
        ));
    }
    match found.word(read) {
        DiskWord::Stale | DiskWord::Empty | DiskWord::Damaged if found.chosen.is_ok() => {
            let can = found.deletion() == Deletion::No;
            out.push(Finding { repairable: can, ..on("does not hold the newest model".into(), WARNING) });
        }
        DiskWord::Released => out.push(on("was let go and carries its label still".into(), WARNING)),
        _ => (),
    }
    out.extend(blocks_of(scene, read).into_iter().map(|(words, repairable)| Finding {
        repairable,
        ..on(words, if repairable { WARNING } else { DAMAGE })
    }));
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

/// What is wrong with the node blocks of a disk, each with whether it can be mended.
fn blocks_of(scene: &Scene, read: &Read) -> Vec<(String, bool)> {
    let blocks = match node_blocks(scene, read) {
        Ok(blocks) => blocks,
        Err(error) => return vec![(error.to_string(), false)],
    };
    let ids = |ids: &[NodeId]| {
        let shown = ids.iter().take(NODES_SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match ids.len().saturating_sub(NODES_SHOWN_MAX) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    };
    let mut out = Vec::new();
    if !blocks.damaged.is_empty() {
        out.push((format!("neither block of node {} can be read", ids(&blocks.damaged)), true));
    }
    if !blocks.newer.is_empty() {
        out.push((format!("a newer evms wrote the block of node {}; use that", ids(&blocks.newer)), false));
    }
    let mad = blocks.newest.iter().filter(|block| block.epoch.round() > ROUND_SANE_MAX);
    out.extend(mad.map(|block| {
        let words = format!(
            "the block of node {} claims epoch {}, which openings never reach",
            block.id, block.epoch
        );
        (format!("{words}; the disk was forged or is damaged, leave it out"), false)
    }));
    out
}

/// Is something left that makes `check` end with the exit code of damage?
pub fn damaged(report: &CheckReport) -> bool {
    report.findings.iter().any(|finding| finding.weight == DAMAGE && !finding.repaired)
}
