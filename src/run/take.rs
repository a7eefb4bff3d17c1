//! Taking a disk: looked at deeply, refused when anything lives on it, laid out, and given an identity. Foreign
//! signatures are refused and never overwritten unless `--wipe` names them (design section 4).

use std::path::PathBuf;

use crate::base::bits::Features;
use crate::base::dice::Dice;
use crate::base::id::{ContainerId, DiskId, DiskNumber};
use crate::base::limits::{DEEP_LOOK_BYTES, NODE_ID_MAX};
use crate::base::sorted::sort;
use crate::base::units::Bytes;
use crate::engine::change::Joiner;
use crate::format::disk_beat;
use crate::format::label::Label;
use crate::format::layout::{Layout, Recipe};
use crate::host::clock;
use crate::host::disk::{OpenDisk, Want};
use crate::host::disk_error::DiskError;
use crate::run::failure::RunError;
use crate::run::look::read_ends;
use crate::run::scene::{Scene, Seen};
use crate::volume::commit::Member;
use crate::volume::discover::{Sighting, Unusable};
use crate::volume::plugins::foreign::{self, Ends};
use crate::volume::plugins::local_disk;
use crate::volume::request::NewDisk;

/// The word by which `--wipe` means a disk that carries an evms label.
pub const WIPE_EVMS: &str = "evms";
/// The word by which `--wipe` means content that no signature explains.
pub const WIPE_UNKNOWN: &str = "unknown";

/// How disks are to be taken.
#[derive(Clone, Debug, Default)]
pub struct Taking {
    /// Signatures that may be overwritten.
    pub wipe: Vec<String>,
    /// Length of a slot; the default follows the disk's size.
    pub slot: Option<Bytes>,
}

/// A disk that may be taken, and what it will be.
pub struct Taken {
    /// What the planner needs to know.
    pub new: NewDisk,
    /// What is written on it; the number is set once the plan has given one.
    pub joiner: Joiner,
}

impl Taking {
    pub(crate) fn may_wipe(&self, word: &str) -> bool {
        self.wipe.iter().any(|allowed| allowed == word)
    }

    /// Refuses `--wipe` words that mean nothing.
    pub fn check_words(&self) -> Result<(), RunError> {
        let known =
            |word: &&String| foreign::is_name(word) || [WIPE_EVMS, WIPE_UNKNOWN].contains(&word.as_str());
        match self.wipe.iter().find(|word| !known(word)) {
            None => Ok(()),
            Some(word) => {
                let mut names = foreign::names().collect::<Vec<_>>();
                sort(&mut names);
                names.dedup();
                Err(RunError::say(
                    crate::base::failure::Kind::Usage,
                    format!(
                        "--wipe '{}' names no signature that is known; nothing was written; known are {WIPE_EVMS}, \
                         {WIPE_UNKNOWN} and {}",
                        word.escape_default(),
                        names.join(", ")
                    ),
                ))
            }
        }
    }

    /// May all of this disk, open for a change, be overwritten?
    pub fn judge<'a>(&self, seen: &'a Seen) -> Result<&'a OpenDisk, RunError> {
        let disk = seen.open.as_ref().map_err(|error| RunError::Disk(error.clone()))?;
        self.refuse_facts(seen)?;
        if disk.read_only() {
            return Err(RunError::Disk(DiskError::ReadOnly { path: seen.path.clone() }));
        }
        self.refuse_content(seen)?;
        Ok(disk)
    }

    /// Judges one disk that is open for a change and makes it a member-to-be of `container`.
    pub fn take(&self, seen: &Seen, container: ContainerId, dice: &mut Dice) -> Result<Taken, RunError> {
        let disk = self.judge(seen)?;
        let recipe = Recipe::for_size(disk.size());
        let recipe = self.slot.map_or(recipe, |slot| recipe.with_slot(slot));
        let layout = Layout::make(disk.size(), &recipe)
            .map_err(|error| RunError::TooSmall { path: seen.path.clone(), error })?;
        let (id, number) = (DiskId::random(dice), DiskNumber(0));
        let label = Label {
            features: Features::default(),
            container,
            disk: id,
            number,
            logical_block: disk.logical_block(),
            nodes: NODE_ID_MAX,
            size: disk.size().whole_sectors(),
            created: clock::wall_now(),
            wwid: seen.wwid(),
            areas: layout.areas().to_vec(),
            extension: Vec::new(),
        };
        let data = layout.data();
        let new = NewDisk {
            id,
            wwid: label.wwid.clone(),
            logical_block: label.logical_block,
            data_start: data.start,
            data_length: data.length,
        };
        let joiner = Joiner { member: Member { container, number, id, layout }, label, size: disk.size() };
        Ok(Taken { new, joiner })
    }

    fn refuse_facts(&self, seen: &Seen) -> Result<(), RunError> {
        let Some(facts) = seen.facts_now() else { return Ok(()) };
        local_disk::judge_taking(&facts).map_err(|declined| RunError::Taken {
            path: seen.path.clone(),
            why: declined.to_string(),
            next: "name another disk".into(),
        })
    }

    fn refuse_content(&self, seen: &Seen) -> Result<(), RunError> {
        let disk = seen.open.as_ref().map_err(|error| RunError::Disk(error.clone()))?;
        let refuse = |why: String, next: String| Err(RunError::Taken { path: seen.path.clone(), why, next });
        match &seen.sighting {
            Err(error) => return Err(RunError::Disk(error.clone())),
            Ok(Sighting::Ours(labelled)) if !self.may_wipe(WIPE_EVMS) => {
                return refuse(
                    format!(
                        "it is a member already: disk {} of container {}",
                        labelled.label.number, labelled.label.container
                    ),
                    format!(
                        "see it with: evms --disk {} list; if it was left over from something that is gone for good: \
                         --wipe {WIPE_EVMS}",
                        seen.path.display()
                    ),
                );
            }
            Ok(Sighting::Ours(labelled)) if labelled.front_lost && !self.may_wipe(WIPE_UNKNOWN) => {
                return refuse(
                    format!(
                        "it was disk {} of container {}, and holds data at its front that no known signature explains",
                        labelled.label.number, labelled.label.container
                    ),
                    format!(
                        "name another disk, or, if all of it may be destroyed: --wipe {WIPE_EVMS},{WIPE_UNKNOWN}"
                    ),
                );
            }
            Ok(Sighting::Unusable(why)) if why.is_newer() || !self.may_wipe(WIPE_EVMS) => {
                return refuse(
                    format!("it carries an evms label that cannot be used: {why}"),
                    unusable_next(why),
                );
            }
            _ => (),
        }
        let (head, mut tail) = read_ends(disk, DEEP_LOOK_BYTES).map_err(RunError::Disk)?;
        tail.extend(disk.read_odd_tail().map_err(RunError::Disk)?);
        let found = foreign::recognise(&Ends { size: disk.size(), head: &head, tail: &tail });
        if let Some(signature) = found.iter().find(|signature| !self.may_wipe(signature.name)) {
            return refuse(
                format!("it holds {} (found at byte {})", signature.what, signature.at.0),
                format!(
                    "name another disk, or, if that may be destroyed, say so with: --wipe {}",
                    signature.name
                ),
            );
        }
        let ours = matches!(seen.sighting, Ok(Sighting::Ours(_) | Sighting::Unusable(_)));
        let Some(at) = foreign::unknown_content(&head).filter(|_| found.is_empty() && !ours) else {
            return Ok(());
        };
        let (what, word) = match disk_beat::are_all(&head) {
            true => ("what is left of a disk of evms", WIPE_EVMS),
            false => ("data that no known signature explains", WIPE_UNKNOWN),
        };
        if self.may_wipe(word) {
            return Ok(());
        }
        refuse(
            format!("it holds {what} (from byte {})", at.0),
            format!("name another disk, or, if that may be destroyed, say so with: --wipe {word}"),
        )
    }
}

fn unusable_next(why: &Unusable) -> String {
    match why {
        _ if why.is_newer() => "use the newer evms that made it".into(),
        Unusable::Overwritten(signature) => {
            format!(
                "name another disk, or, if all of it may be destroyed: --wipe {WIPE_EVMS},{}",
                signature.name
            )
        }
        _ => format!("mend it with: evms check --repair; or, if it may be destroyed: --wipe {WIPE_EVMS}"),
    }
}

/// Opens disks that shall be taken.
pub fn open(paths: &[PathBuf], dry: bool) -> Result<Scene, RunError> {
    let want = if dry { Want::Look } else { Want::Change };
    Scene::opened(paths, want).map_err(RunError::Scene)
}
