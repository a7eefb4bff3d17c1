//! Which disk a user means: by path, by number, by the beginning of its id.

use std::path::PathBuf;

use crate::base::id::DiskNumber;
use crate::run::change::Held;
use crate::run::failure::RunError;
use crate::run::scene::Seen;

impl Held {
    /// Is the disk at this path one of the container's?
    pub fn has(&self, path: &PathBuf) -> bool {
        let wanted = real(path);
        let seen = |place: usize| self.scene.disks.get(place);
        self.found.disks.iter().filter_map(|read| seen(read.place)).any(|seen| real(&seen.path) == wanted)
    }

    /// Is it one that the model knows as a member, and not merely labelled for it?
    pub fn is_member(&self, path: &PathBuf) -> bool {
        let Ok(model) = self.chosen().map(|chosen| &chosen.model) else { return false };
        let wanted = real(path);
        let here = |place: usize| self.scene.disks.get(place).is_some_and(|seen| real(&seen.path) == wanted);
        let mut members = self.found.disks.iter().filter(|read| {
            let disk = model.disk_by_id(read.labelled.label.disk);
            disk.is_some_and(|disk| disk.is_member() && disk.number == read.labelled.label.number)
        });
        members.any(|read| here(read.place))
    }

    /// The disk that a user means: by path, by number, by the beginning of its id.
    pub fn disk_number(&self, word: &str) -> Result<DiskNumber, RunError> {
        let model = &self.chosen()?.model;
        let by_path = self.found.disks.iter().find(|read| {
            self.scene
                .disks
                .get(read.place)
                .is_some_and(|seen: &Seen| real(&seen.path) == real(&PathBuf::from(word)))
        });
        let by_path = by_path.map(|read| read.labelled.label.number);
        let by_number =
            word.parse::<u16>().ok().map(DiskNumber).filter(|number| model.disk(*number).is_some());
        let by_id = || {
            let disks = model
                .table
                .disks
                .iter()
                .filter(|disk| word.len() >= 4 && disk.id.to_string().starts_with(word));
            disks.map(|disk| disk.number).next()
        };
        by_path.or(by_number).or_else(by_id).ok_or_else(|| RunError::NotFound {
            what: "disk",
            name: word.into(),
            hint: format!(
                "container {} has the disks {}; name one by its path or number",
                self.name,
                model
                    .table
                    .disks
                    .iter()
                    .filter(|disk| disk.is_member())
                    .map(|disk| disk.number.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        })
    }
}

fn real(path: &PathBuf) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())
}
