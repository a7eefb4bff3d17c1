//! The model of a container: all that is decided about it. One section per matter, each a frozen struct; a change of
//! a struct is a new version beside the old one, never an edit (golden files pin every byte).

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::base::epoch::Generation;
use crate::base::id::{
    ClusterId, ContainerId, DiskId, DiskNumber, Incarnation, NodeUuid, RegionId, VolumeId,
};
use crate::base::limits::{
    DEEDS_MAX, DISKS_MAX, FREED_RUNS_MAX, HOLDERS_MAX, RELEASED_DISKS_MAX, RUNS_PER_REGION_MAX, STRIPES_MAX,
    VOLUMES_MAX,
};
use crate::base::name::Name;
use crate::base::time::WallTime;
use crate::base::units::{Extents, Sectors};
use crate::format::damage::{Damage, Fault, What};
use crate::format::list::{self, List};
use crate::format::section::{self, Section};
use crate::format::slot::SlotImage;

pub mod deed;

use deed::Deed;

/// What a container is to the nodes of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerKind {
    /// One owner.
    Private,
    /// All nodes at once.
    Shared,
    /// Nobody's.
    Deported,
    /// Nobody's ever again: its disks lose their labels one after the other. Without an old set beside it, a majority
    /// held this already, so that the disks that are left may go without one.
    Deleted,
}

/// The machine that owns a private container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine; what is compared.
    pub node: NodeUuid,
    /// Its name when it became owner; for people.
    pub name: Option<Name>,
}

/// An incarnation that may hold the container (safety 3.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine.
    pub node: NodeUuid,
    /// The life of it that was admitted.
    pub incarnation: Incarnation,
    /// It runs tables of this generation or later; extents freed up to it are out of its hands (safety 2.7).
    pub confirmed: Generation,
    /// Was it expelled? Kept so that it learns of it when it returns.
    pub expelled: bool,
    /// Milliseconds after which a watchdog stops its machine, armed before its first gate opened; zero without one, and then
    /// nothing but somebody's word tells when it cannot write any more (safety 5.1). It stands in section 7.
    #[serde(skip)]
    pub watchdog_ms: u32,
}

/// The watchdog of a holder that has one. Section 7, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    node: NodeUuid,
    incarnation: Incarnation,
    ms: u32,
}

/// The container itself. Section 1, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its identity; equal to the labels'.
    pub id: ContainerId,
    /// Its name, unique in the cluster.
    pub name: Name,
    /// Private, shared, deported.
    pub kind: ContainerKind,
    /// The owner of a private one; `None` is unclaimed: the first machine that activates it becomes owner.
    pub owner: Option<Owner>,
    /// Where it belongs when all is well; owner and home are kept apart.
    pub home: Option<Owner>,
    /// The cluster it belongs to; `NONE` is standalone.
    pub cluster: ClusterId,
    /// Length of one extent.
    pub extent: Sectors,
    /// Made as a template: gets fresh ids when it is claimed.
    pub template: bool,
    /// The administrator closed it; stays closed until opened (safety 4.4).
    pub suspended: bool,
    /// Who may hold it.
    #[serde(deserialize_with = "list::at_most::<_, _, HOLDERS_MAX>")]
    pub holders: Vec<Holder>,
    /// For people.
    pub created: WallTime,
}

impl Container {
    /// The holder that this machine is, unless it was expelled.
    pub fn holder(&self, node: NodeUuid) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.node == node && !holder.expelled)
    }

    /// What stands in section 7, which is there when this is not empty.
    fn watches(&self) -> Vec<Watch> {
        let watched = self.holders.iter().filter(|holder| holder.watchdog_ms != 0);
        let watch = |holder: &Holder| Watch {
            node: holder.node,
            incarnation: holder.incarnation,
            ms: holder.watchdog_ms,
        };
        watched.map(watch).collect()
    }

    /// Watches of lives that hold nothing tell nothing.
    fn watch(&mut self, watches: &[Watch]) {
        for holder in &mut self.holders {
            let its = |watch: &&Watch| (watch.node, watch.incarnation) == (holder.node, holder.incarnation);
            holder.watchdog_ms = watches.iter().find(its).map_or(0, |watch| watch.ms);
        }
    }
}

/// What the model knows about one of its disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskState {
    /// A member; commits are written to it.
    In,
    /// A member that missed the commit of this generation and is not written until it is readmitted.
    AbsentSince(Generation),
    /// Not a member any more, since this generation; its label may still stand on it.
    Released(Generation),
}

/// One disk. Part of section 2, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its identity; equal to its label's.
    pub id: DiskId,
    /// Its number.
    pub number: DiskNumber,
    /// Member, absent, released.
    pub state: DiskState,
    /// WWID when it joined; may be empty.
    pub wwid: String,
    /// First sector of its data area.
    pub data_start: Sectors,
    /// Whole extents in its data area.
    pub extents: Extents,
    /// Logical block size when it joined.
    pub logical_block: u32,
}

impl Disk {
    /// Does the disk belong to the present set?
    pub fn is_member(&self) -> bool {
        !matches!(self.state, DiskState::Released(_))
    }
}

/// The set of disks before a change of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSet {
    /// Its members.
    #[serde(deserialize_with = "list::at_most::<_, _, DISKS_MAX>")]
    pub disks: Vec<DiskNumber>,
    /// The one marked *first* then.
    pub first: DiskNumber,
}

/// The disks of a container. Section 2, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskTable {
    /// Members and released ones, by number.
    #[serde(deserialize_with = "list::at_most::<_, _, DISKS_KNOWN_MAX>")]
    pub disks: Vec<Disk>,
    /// The one that counts twice in an even set (safety 2.4).
    pub first: DiskNumber,
    /// While the set changes: the set before.
    pub old_set: Option<OldSet>,
    /// The next number to give out.
    pub next_number: u16,
}

/// So many extents in a row on one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// The disk.
    pub disk: DiskNumber,
    /// First extent, counted from the start of its data area.
    pub start: Extents,
    /// How many.
    pub count: Extents,
}

impl Run {
    /// First extent after the run; runs of a checked model stay far below 64 bits.
    pub fn end(&self) -> Extents {
        Extents(self.start.0.saturating_add(self.count.0))
    }
}

/// Storage that a region manager made from extents. Part of section 3, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its identity.
    pub id: RegionId,
    /// Number of the region manager's plug-in.
    pub plugin: u16,
    /// What the plug-in keeps about it, in its own words.
    pub params: Vec<u8>,
    /// Its columns: one for a linear region, one per stripe for a striped one; all of equal length.
    #[serde(deserialize_with = "columns")]
    pub columns: Vec<Vec<Run>>,
}

fn columns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<Run>>, D::Error> {
    let columns: Vec<List<Run, RUNS_PER_REGION_MAX>> = list::at_most::<_, _, COLUMNS_MAX>(from)?;
    Ok(columns.into_iter().map(|column| column.0).collect())
}

/// What an object stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectRef {
    /// A region.
    Region(RegionId),
}

/// A volume. Part of section 4, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its identity.
    pub id: VolumeId,
    /// Its name, unique in the container.
    pub name: Name,
    /// What it stands on.
    pub on: ObjectRef,
    /// Its size; at most that of what it stands on.
    pub size: Sectors,
}

/// Extents that were freed and wait until nobody can still write to them (safety 2.7). Part of section 5, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// The extents.
    pub run: Run,
    /// The generation that freed them.
    pub generation: Generation,
}

/// Why a model was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// The container was made.
    Create,
    /// An opening: a new epoch, nothing else need have changed.
    Opening,
    /// A change that somebody asked for.
    Change,
    /// The second half of a change of the disk set.
    Settle,
    /// It was taken from a node, or a node was counted out of it.
    Takeover,
}

impl ChangeKind {
    fn version(self) -> u16 {
        if self == ChangeKind::Takeover { TAKEOVER_VERSION } else { VERSION }
    }
}

/// What this commit changed. Section 6, version 1; version 2 where it is a takeover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Why.
    pub kind: ChangeKind,
    /// In words.
    pub text: String,
    /// The name of the machine that asked.
    pub by: Option<Name>,
    /// When, for people.
    pub at: WallTime,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Section 1.
    pub container: Container,
    /// Section 2.
    pub table: DiskTable,
    /// Section 3.
    pub regions: Vec<Region>,
    /// Section 4.
    pub volumes: Vec<Volume>,
    /// Section 5.
    pub freed: Vec<Freed>,
    /// Section 6.
    pub change: Change,
    /// Section 8, which is there when this is not empty: how it came to whom it belongs to, oldest first.
    pub deeds: Vec<Deed>,
    /// Sections of a newer program that may be ignored; written back as they are.
    pub unknown: Vec<Section>,
    /// Sections of a newer program forbid writing.
    pub read_only: bool,
}

/// As many columns as a region has stripes.
const COLUMNS_MAX: usize = STRIPES_MAX as usize;
/// Members and those that were removed.
const DISKS_KNOWN_MAX: usize = DISKS_MAX + RELEASED_DISKS_MAX;

const CONTAINER: u16 = 1;
const DISKS: u16 = 2;
const REGIONS: u16 = 3;
const VOLUMES: u16 = 4;
const FREED: u16 = 5;
const CHANGE: u16 = 6;
const WATCHES: u16 = 7;
const DEEDS: u16 = 8;
const VERSION: u16 = 1;
/// Of section 6, where it tells of a takeover: a program that knows of none takes it for newer and not for damaged.
const TAKEOVER_VERSION: u16 = 2;

/// What a model can grow by: bytes of a body that one more linear volume of one run costs at the most.
/// Region: 16 id + 1 plug-in + 1 params + 2 list lengths + 3 + 10 + 10 run; volume: 16 id + 61 name + 17 on + 10 size.
pub const LINEAR_VOLUME_BYTES_MAX: u64 = 147;

fn write<T: Serialize>(kind: u16, value: &T) -> Option<Section> {
    write_as(VERSION, kind, value)
}

fn write_as<T: Serialize>(version: u16, kind: u16, value: &T) -> Option<Section> {
    Some(Section { kind, version, flags: section::INCOMPAT, bytes: postcard::to_allocvec(value).ok()? })
}

fn read<T: DeserializeOwned>(sections: &[Section], kind: u16) -> Result<T, Damage> {
    let fault = |fault| Damage::new(What::Section(kind), fault);
    let mut found = sections.iter().filter(|section| section.kind == kind);
    let section = found.next().ok_or(fault(Fault::Field("presence")))?;
    if found.next().is_some() {
        return Err(fault(Fault::Field("count")));
    }
    let newest = if kind == CHANGE { TAKEOVER_VERSION } else { VERSION };
    if !(VERSION..=newest).contains(&section.version) {
        return Err(fault(Fault::Version(section.version)));
    }
    if section.flags & !section::INCOMPAT != 0 {
        return Err(fault(Fault::Incompat(u64::from(section.flags & !section::INCOMPAT))));
    }
    if section.flags != section::INCOMPAT {
        return Err(fault(Fault::Field("flags")));
    }
    match postcard::take_from_bytes(&section.bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(fault(Fault::Field("length"))),
        Err(_) => Err(fault(Fault::Field("content"))),
    }
}

/// Its version says whether it is a takeover, and nothing else does.
fn read_change(sections: &[Section]) -> Result<Change, Damage> {
    let change: Change = read(sections, CHANGE)?;
    let said = sections.iter().find(|section| section.kind == CHANGE).map(|section| section.version);
    match said.filter(|version| *version != change.kind.version()) {
        Some(version) => Err(Damage::new(What::Section(CHANGE), Fault::Version(version))),
        None => Ok(change),
    }
}

impl Model {
    /// Is the container deleted for good? A majority held that before the old set was let go, so whatever disks are
    /// left may lose their labels, few as they may be.
    pub fn is_deleted(&self) -> bool {
        self.container.kind == ContainerKind::Deleted && self.table.old_set.is_none()
    }

    /// The body of a slot. `None` only if memory or a length field cannot hold it.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut sections = vec![
            write(CONTAINER, &self.container)?,
            write(DISKS, &self.table)?,
            write(REGIONS, &self.regions)?,
            write(VOLUMES, &self.volumes)?,
            write(FREED, &self.freed)?,
            write_as(self.change.kind.version(), CHANGE, &self.change)?,
        ];
        let watches = self.container.watches();
        if !watches.is_empty() {
            sections.push(write(WATCHES, &watches)?);
        }
        if !self.deeds.is_empty() {
            sections.push(write(DEEDS, &self.deeds)?);
        }
        sections.extend(self.unknown.iter().cloned());
        Some(section::encode(&sections))
    }

    /// Reads the body of a slot. That its parts agree with each other is for `volume::check` to say.
    pub fn decode(body: &[u8]) -> Result<Model, Damage> {
        let mut sections = section::decode(body)?;
        let unknown = sections
            .extract_if(.., |section| !(CONTAINER..=DEEDS).contains(&section.kind))
            .collect::<Vec<_>>();
        if let Some(section) = unknown.iter().find(|section| section.flags & section::INCOMPAT != 0) {
            return Err(Damage::new(What::Section(section.kind), Fault::Incompat(u64::from(section.flags))));
        }
        let read_only = unknown.iter().any(|section| section.flags & section::RO_COMPAT != 0);
        let mut container: Container = read(&sections, CONTAINER)?;
        if sections.iter().any(|section| section.kind == WATCHES) {
            container.watch(&read::<List<Watch, HOLDERS_MAX>>(&sections, WATCHES)?.0);
        }
        let deeds = match sections.iter().any(|section| section.kind == DEEDS) {
            true => read::<List<Deed, DEEDS_MAX>>(&sections, DEEDS)?.0,
            false => Vec::new(),
        };
        Ok(Model {
            container,
            table: read(&sections, DISKS)?,
            regions: read::<List<Region, VOLUMES_MAX>>(&sections, REGIONS)?.0,
            volumes: read::<List<Volume, VOLUMES_MAX>>(&sections, VOLUMES)?.0,
            freed: read::<List<Freed, FREED_RUNS_MAX>>(&sections, FREED)?.0,
            change: read_change(&sections)?,
            deeds,
            unknown,
            read_only,
        })
    }

    /// The model of a slot. Header and body are written together: where they name different containers, or differ
    /// on whether the set of disks changes, neither is believed.
    pub fn of(image: &SlotImage) -> Result<Model, Damage> {
        let model = Model::decode(&image.body)?;
        if model.container.id != image.header.container {
            return Err(Damage::new(What::SlotBody, Fault::Field("container")));
        }
        if model.table.old_set.is_some() != image.header.old_set {
            return Err(Damage::new(What::SlotBody, Fault::Field("old set")));
        }
        Ok(model)
    }

    /// The disk with this number.
    pub fn disk(&self, number: DiskNumber) -> Option<&Disk> {
        self.table.disks.iter().find(|disk| disk.number == number)
    }

    /// The disk with this identity.
    pub fn disk_by_id(&self, id: DiskId) -> Option<&Disk> {
        self.table.disks.iter().find(|disk| disk.id == id)
    }

    /// The region with this identity.
    pub fn region(&self, id: RegionId) -> Option<&Region> {
        self.regions.iter().find(|region| region.id == id)
    }

    /// The region under a volume.
    pub fn region_of(&self, volume: &Volume) -> Option<&Region> {
        let ObjectRef::Region(id) = volume.on;
        self.region(id)
    }

    /// The volume with this name.
    pub fn volume(&self, name: &Name) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == *name)
    }
}
