//! Changes that a machine makes at random, and what the container must show after each: a model of a model, small
//! enough to be right at a glance.

use std::collections::BTreeMap;

use crate::dice::Dice;

/// Volumes that come and go have at most so many MiB; those that stay grow to so many.
const PASSING_MIB_MAX: u64 = 3;
const STAYING_MIB_MAX: u64 = 24;
/// So many volumes come and go at once.
const PASSING_MAX: usize = 5;

/// What is done to the container `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new volume of so many MiB.
    Create(String, u64),
    /// A volume goes.
    Delete(String),
    /// A volume has another name.
    Rename(String, String),
    /// A volume has so many MiB.
    Grow(String, u64),
    /// The fourth disk joins.
    Join,
    /// The fourth disk leaves.
    Leave,
}

impl Change {
    /// The line that brings it about; `disk` is the one that joins and leaves.
    pub fn line(&self, disk: &str) -> String {
        match self {
            Self::Create(name, size) => {
                format!("evms volume create data/{name} --size {size}M --on 1 --on 2 --on 3")
            }
            Self::Delete(name) => format!("evms volume delete data/{name}"),
            Self::Rename(name, new) => format!("evms volume rename data/{name} {new}"),
            Self::Grow(name, size) if name == "files" => {
                format!("evms volume expand data/files --size {size}M --fs")
            }
            Self::Grow(name, size) => format!("evms volume expand data/{name} --size {size}M"),
            Self::Join => format!("evms container expand data {disk} --wipe evms"),
            // No disk leaves while the container is active, so the writer rests meanwhile.
            Self::Leave => format!(
                "touch /tmp/pause; until umount /mnt; do usleep 10000; done
                evms deactivate data && evms container shrink data {disk} &&
                evms activate data/files data/raw && mount -t ext4 /dev/evms/data/files /mnt && rm /tmp/pause"
            ),
        }
    }

    /// Changes of one kind take about as long as each other.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Create(..) => "create",
            Self::Delete(_) => "delete",
            Self::Rename(..) => "rename",
            Self::Grow(name, _) if name == "files" => "grow with file system",
            Self::Grow(..) => "grow",
            Self::Join => "join",
            Self::Leave => "leave",
        }
    }
}

/// What the container has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// MiB of each volume.
    volumes: BTreeMap<String, u64>,
    disks: usize,
    /// So many volumes were ever made or named.
    names: usize,
}

/// Two volumes that stay over three disks: the start.
impl Default for Model {
    fn default() -> Self {
        let volumes = [("files".into(), 16), ("raw".into(), 4)].into();
        Self { volumes, disks: 3, names: 0 }
    }
}

impl Model {
    /// The model after a change.
    #[must_use]
    pub fn with(&self, change: &Change) -> Self {
        let mut after = self.clone();
        match change {
            Change::Create(name, size) | Change::Grow(name, size) => {
                after.volumes.insert(name.clone(), *size);
            }
            Change::Delete(name) => {
                after.volumes.remove(name);
            }
            Change::Rename(name, new) => {
                let size = after.volumes.remove(name).unwrap_or_default();
                after.volumes.insert(new.clone(), size);
            }
            Change::Join => after.disks += 1,
            Change::Leave => after.disks -= 1,
        }
        after
    }

    /// A change that can be made.
    pub fn draw(&mut self, dice: &mut Dice) -> Change {
        self.names += 1;
        let new = format!("v{}", self.names);
        let passing: Vec<(String, u64)> = self.passing();
        let staying = ["files", "raw"].map(|name| (name.to_string(), self.volumes[name]));
        loop {
            match dice.below(7) {
                0 | 1 if passing.len() < PASSING_MAX => {
                    return Change::Create(new, 1 + dice.below(PASSING_MIB_MAX as usize) as u64);
                }
                2 if !passing.is_empty() => return Change::Delete(dice.one_of(&passing).0.clone()),
                3 if !passing.is_empty() => return Change::Rename(dice.one_of(&passing).0.clone(), new),
                4 => {
                    let (name, size) = dice.one_of(&staying);
                    if *size < STAYING_MIB_MAX {
                        return Change::Grow(name.clone(), size + 1);
                    }
                }
                5 | 6 => return if self.disks == 3 { Change::Join } else { Change::Leave },
                _ => (),
            }
        }
    }

    fn passing(&self) -> Vec<(String, u64)> {
        let passing = self.volumes.iter().filter(|(name, _)| name.starts_with('v'));
        passing.map(|(name, size)| (name.clone(), *size)).collect()
    }

    /// What of it can be compared with what is shown: disks, and volumes with their sizes.
    pub fn rows(&self) -> Vec<String> {
        let volumes = self.volumes.iter().map(|(name, size)| format!("data/{name} {size} MiB"));
        let mut rows: Vec<String> = volumes.chain([format!("data {}", self.disks)]).collect();
        rows.sort();
        rows
    }

    /// The same of what [`crate::images::model`] read.
    pub fn comparable(shown: &[String]) -> Vec<String> {
        let mut rows: Vec<String> = shown
            .iter()
            .map(|row| match row.split(' ').collect::<Vec<_>>().as_slice() {
                [name, size, unit, ..] if name.contains('/') => format!("{name} {size} {unit}"),
                [name, _, _, disks, ..] => format!("{name} {disks}"),
                _ => row.clone(),
            })
            .collect();
        rows.sort();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_compared_by_disks_names_and_sizes() {
        let shown = ["data private cut 3 2 120 MiB", "data/raw 4 MiB linear 1", "data/files 16 MiB linear 1"];
        let shown = shown.map(String::from);
        let start = Model::default();
        assert_eq!(start.rows(), Model::comparable(&shown));
        for change in [Change::Join, Change::Delete("raw".into()), Change::Grow("raw".into(), 5)] {
            assert_ne!(start.with(&change).rows(), Model::comparable(&shown), "{change:?}");
        }
    }
}
