//! What commands answer: plain values with stable names, printed as text or as JSON by the applets.

use serde::Serialize;

use crate::base::failure::Kind;
use crate::base::id::ContainerId;

/// One write, as a person or a program may want to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteLine {
    /// The device or file.
    pub disk: String,
    /// First sector of 512 bytes.
    pub sector: u64,
    /// How many sectors.
    pub sectors: u64,
    /// What is written there.
    pub what: &'static str,
}

/// What a changing command did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// In words, one sentence without a full stop.
    pub done: String,
    /// Nothing was to be done.
    pub already_so: bool,
    /// Nothing was written: the writes are what would be.
    pub dry_run: bool,
    /// The container's name after it.
    pub container: String,
    /// Epoch of the commit, as a number; 0 when nothing was committed.
    pub epoch: u64,
    /// Generation of the commit.
    pub generation: u64,
    /// Is the container suspended by what was committed?
    #[serde(skip)]
    pub suspended: bool,
    /// Things to know besides: disks that missed the commit, labels that could not be wiped.
    pub notes: Vec<String>,
    /// Every write of a dry run.
    pub writes: Vec<WriteLine>,
}

/// What `list` may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListWhat {
    /// Disks, containers and volumes: what people want first.
    Overview,
    /// Disks.
    Disks,
    /// Segments.
    Segments,
    /// Containers.
    Containers,
    /// Regions, and free space as one of them.
    Regions,
    /// Everything.
    Objects,
    /// Volumes.
    Volumes,
}

/// One disk in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskLine {
    /// The device or file.
    pub path: String,
    /// Its size in bytes; 0 when it could not be opened.
    pub size_bytes: u64,
    /// Its WWID, or empty.
    pub wwid: String,
    /// `member`, `free`, `foreign`, `damaged`, `declined`, `error`.
    pub state: &'static str,
    /// Name of the container it is a member of, or empty.
    pub container: String,
    /// Its number there; 0 when it is no member.
    pub number: u16,
    /// In words: what it holds, why it is left alone, what is wrong with it.
    pub words: String,
}

/// One container in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContainerLine {
    /// Its name; empty when no copy of its model can be read.
    pub name: String,
    /// Its identity.
    pub id: String,
    /// `private`, `shared`, `deported`, or empty.
    pub kind: &'static str,
    /// The owner's node UUID, or empty.
    pub owner: String,
    /// The owner's name, or empty.
    pub owner_name: String,
    /// The cluster's id, or empty for a standalone one.
    pub cluster: String,
    /// Epoch of the newest model, as a number.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// `committed`, `in doubt`, `incomplete` (no majority of disks), `conflict`, `clones`, `damaged`.
    pub state: &'static str,
    /// Disks that are here and members.
    pub disks_here: usize,
    /// Disks that are members.
    pub disks: usize,
    /// How many volumes it has.
    pub volumes: usize,
    /// Bytes of all its extents.
    pub size_bytes: u64,
    /// Bytes of its free extents.
    pub free_bytes: u64,
    /// When it was changed last, for people.
    pub changed_at: String,
    /// The last change, in words.
    pub changed: String,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// One volume in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VolumeLine {
    /// CONTAINER/VOLUME.
    pub name: String,
    /// Its identity.
    pub id: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its region manager: `linear`, `stripe`.
    pub layout: &'static str,
    /// Stripes; 1 for a linear one.
    pub stripes: u16,
    /// Stripe unit in bytes; 0 for a linear one.
    pub stripe_bytes: u64,
    /// Numbers of the disks it lies on.
    pub disks: Vec<u16>,
    /// Are all of these here?
    pub whole: bool,
    /// Its device in this machine's kernel, `dm-3`; empty when it is not active here.
    pub device: String,
    /// Is it active and its I/O waits?
    pub suspended: bool,
}

impl VolumeLine {
    /// How it is, in a few words.
    pub fn state(&self) -> String {
        let whole = if self.whole { "whole" } else { "a disk is missing" };
        match (self.device.as_str(), self.suspended) {
            ("", _) => whole.into(),
            (device, false) => format!("{whole}, active on {device}"),
            (device, true) => format!("{whole}, active on {device}, its I/O waits"),
        }
    }
}

/// One object of the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectLine {
    /// Its name.
    pub name: String,
    /// `disk`, `segment`, `container`, `region`, `free space`, `volume`.
    pub kind: &'static str,
    /// The plug-in that made it, or empty.
    pub plugin: &'static str,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Words about its state.
    pub states: Vec<String>,
    /// The container it belongs to, or empty.
    pub container: String,
    /// WWID or id, or empty.
    pub id: String,
    /// Names of what it stands on.
    pub on: Vec<String>,
    /// Names of what stands on it.
    pub under: Vec<String>,
}

/// The answer to `list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// What was asked.
    pub what: ListWhat,
    /// Disks, when asked for.
    pub disks: Vec<DiskLine>,
    /// Containers, when asked for.
    pub containers: Vec<ContainerLine>,
    /// Volumes, when asked for.
    pub volumes: Vec<VolumeLine>,
    /// Objects, when asked for segments, regions or all.
    pub objects: Vec<ObjectLine>,
    /// Disks that could not be looked at, one sentence each.
    pub errors: Vec<String>,
}

/// One member disk in `info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemberLine {
    /// Its number.
    pub number: u16,
    /// Its identity.
    pub id: String,
    /// The device or file, or empty when it is not here.
    pub path: String,
    /// `current`, `stale`, `empty`, `damaged`, `missing`, `released`, `not a member`; with `absent since` a generation.
    pub state: String,
    /// Is it the one that counts twice in an even set?
    pub first: bool,
    /// Its WWID when it joined, or empty.
    pub wwid: String,
    /// Bytes of its extents.
    pub size_bytes: u64,
    /// Bytes of its free extents.
    pub free_bytes: u64,
}

/// How full the slots are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes used.
    pub used_bytes: u64,
    /// Bytes of the smallest slot.
    pub of_bytes: u64,
    /// Hundredths used.
    pub percent: u64,
    /// Linear volumes that still fit.
    pub linear_volumes_left: u64,
}

/// One piece of a volume, as device-mapper would be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PieceLine {
    /// First sector of the volume.
    pub start_sector: u64,
    /// How many.
    pub sectors: u64,
    /// `linear` or `striped`.
    pub target: &'static str,
    /// Disk number and first sector on that disk, one pair per column.
    pub on: Vec<(u16, u64)>,
}

/// The answer to `info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
// One value a command: its size on the stack is nobody's concern.
#[allow(clippy::large_enum_variant)]
pub enum Info {
    /// Of a container.
    Container {
        /// As in a list.
        container: ContainerLine,
        /// Length of an extent in bytes.
        extent_bytes: u64,
        /// Made as a template?
        template: bool,
        /// When it was made, for people.
        created: String,
        /// Its disks.
        members: Vec<MemberLine>,
        /// Its volumes.
        volumes: Vec<VolumeLine>,
        /// How full its slots are.
        room: Room,
        /// Extents freed and not yet to be given out again, in bytes.
        waiting_bytes: u64,
    },
    /// Of a volume.
    Volume {
        /// As in a list.
        volume: VolumeLine,
        /// What is on it, in words.
        content: String,
        /// Its pieces.
        pieces: Vec<PieceLine>,
    },
    /// Of a disk.
    Disk {
        /// As in a list.
        disk: DiskLine,
        /// Its areas when it is a member.
        areas: Vec<WriteLine>,
    },
}

/// One thing found by `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Container or disk.
    pub name: String,
    /// `damage` (exit 5), `warning`, or `note`.
    pub weight: &'static str,
    /// What was found and what to do, one sentence.
    pub words: String,
    /// Can `--repair` mend it?
    pub repairable: bool,
    /// Was it mended by this command?
    pub repaired: bool,
    /// The container that it is about.
    #[serde(skip)]
    pub of: Option<ContainerId>,
}

impl Finding {
    /// Is this the same thing, found again?
    pub fn is_same(&self, other: &Finding) -> bool {
        (&self.name, self.weight, &self.words) == (&other.name, other.weight, &other.words)
    }
}

/// The answer to `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Containers that were checked.
    pub containers: Vec<String>,
    /// Disks that were looked at.
    pub disks: usize,
    /// What was found; empty is well.
    pub findings: Vec<Finding>,
    /// With `--repair --dry-run`: every write that would be made.
    pub writes: Vec<WriteLine>,
    /// Why something was not read or not mended that should have been; decides the exit code.
    #[serde(skip)]
    pub refused: Option<Kind>,
}

/// One model in a container's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryLine {
    /// Its epoch, as a number.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// When it was written, for people.
    pub at: String,
    /// Who asked for it, or empty.
    pub by: String,
    /// What it changed, in words.
    pub words: String,
    /// `create`, `opening`, `change`, `settle`.
    pub kind: &'static str,
    /// Volumes it has.
    pub volumes: usize,
    /// Is it the present one?
    pub present: bool,
    /// Disks that keep it.
    pub kept_on: Vec<u16>,
}

/// The answer to `history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// The container.
    pub container: String,
    /// Newest first.
    pub models: Vec<HistoryLine>,
    /// With `--compare`: what differs between two of them, one sentence each.
    pub differences: Vec<String>,
}

/// The answer to `backup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// The container.
    pub container: String,
    /// The file.
    pub file: String,
    /// Epoch of the model in it.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// A volume that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeUp {
    /// `CONTAINER/VOLUME`.
    pub name: String,
    /// Its node.
    pub node: String,
    /// The kernel's name of it.
    pub device: String,
    /// Was it up before?
    pub already_so: bool,
}

/// A volume that is not up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeDown {
    /// `CONTAINER/VOLUME`.
    pub name: String,
    /// Why, and what to do.
    pub why: String,
}

/// One change of whose a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DeedLine {
    /// When; people's time.
    pub at: String,
    /// Of which container.
    pub container: String,
    /// Its epoch; a takeover begins one.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// `founded`, `given` or `taken`, which a node that was counted out is too.
    pub how: &'static str,
    /// Which machine did it.
    pub by: String,
    /// From whom, on which evidence, and why.
    pub words: String,
}

/// A volume that was put aside: all its I/O fails, and it goes with its last user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeadLine {
    /// What it was.
    pub volume: String,
    /// The epoch under which its I/O ended.
    pub epoch: String,
    /// Its device, `dm-3`.
    pub device: String,
    /// Its device-mapper name now.
    pub name: String,
    /// Who uses it still, one phrase each.
    pub holders: Vec<String>,
}

/// The answer to `evms-fence history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deeds {
    /// Newest first.
    pub deeds: Vec<DeedLine>,
    /// What somebody should know of them, a sentence each.
    pub notes: Vec<String>,
    /// Containers of which no model could be read.
    pub unread: Vec<String>,
}

/// Who may have gates of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HolderLine {
    /// The node's name; the beginning of its machine's identity where it has none here.
    pub name: String,
    /// Its machine.
    pub node: String,
    /// How this node's daemon sees it: `here`, `member`, `silent`, …, `unknown`.
    pub state: String,
    /// Milliseconds after which its watchdog stops it; zero without one.
    pub watchdog_ms: u32,
    /// The others went on without it, and it has not come back.
    pub counted_out: bool,
}

/// The answer to `why CONTAINER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tenure {
    /// The container.
    pub container: String,
    /// Its identity.
    pub id: String,
    /// Private, shared, deported, deleted.
    pub kind: &'static str,
    /// Its owner's name; empty when it has none.
    pub owner: String,
    /// Its owner's machine; likewise.
    pub owner_node: String,
    /// How this node's daemon sees the owner; likewise.
    pub owner_state: String,
    /// Where it belongs when all is well; empty when that is nowhere.
    pub home: String,
    /// Epoch of the model.
    pub epoch: u64,
    /// Generation of the model.
    pub generation: u64,
    /// Does a majority of its disks hold that model?
    pub committed: bool,
    /// When it came to who has it; people's time.
    pub since: String,
    /// Which machine did that.
    pub by: String,
    /// How, and on which evidence.
    pub evidence: String,
    /// Who may have gates of it.
    pub holders: Vec<HolderLine>,
    /// What it rests on that nobody writes who had it before: `A` to `D`; empty for what is of no cluster.
    pub grade: String,
    /// The same in words.
    pub grade_why: String,
    /// Has this node gates of it?
    pub gates_here: bool,
    /// Fence agents of this node for who may have gates of it.
    pub agents: Vec<FenceLine>,
    /// What would have to happen for this node to have it.
    pub next: String,
}

/// A fence agent that this node may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FenceLine {
    /// Whose power it cuts.
    pub node: String,
    /// The program.
    pub agent: String,
    /// What the last call of that node's agents came to; empty when there was none in this boot.
    pub said: String,
}

/// The answer to `activate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Activated {
    /// Volumes that are up.
    pub up: Vec<VolumeUp>,
    /// Volumes that are not.
    pub down: Vec<VolumeDown>,
    /// Containers that were left alone, each a sentence that says why.
    pub left: Vec<String>,
    /// What is to be known besides.
    pub notes: Vec<String>,
    /// Why something that should be up is not; decides the exit code.
    #[serde(skip)]
    pub failed: Option<Kind>,
}

/// The answer to `deactivate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deactivated {
    /// Volumes that are down now.
    pub down: Vec<String>,
    /// What stayed, each a sentence that says why.
    pub left: Vec<String>,
    /// What is to be known besides.
    pub notes: Vec<String>,
    /// Why something stayed; decides the exit code.
    #[serde(skip)]
    pub failed: Option<Kind>,
}
