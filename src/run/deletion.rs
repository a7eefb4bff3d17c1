//! `container delete`: the end of a container is committed and settled first, and only then do its disks lose their
//! labels; a crash among these leaves disks that say so, and the same command frees them.

use crate::base::failure::Kind;
use crate::engine::guard::Act;
use crate::run::change::{Held, find, write_lines};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::in_use;
use crate::run::labels;
use crate::run::perform::Hands;
use crate::run::report::Changed;
use crate::run::take;
use crate::volume::check;
use crate::volume::commit::Labels;
use crate::volume::discover::{Deletion, Read, says_deleted};
use crate::volume::mistake::Rules;
use crate::volume::request::Request;

impl Context {
    /// `container delete`: opens it, so that nobody else has it, then takes the labels of its disks away.
    pub fn container_delete(&mut self, name: &str) -> Result<Changed, RunError> {
        {
            let scene = self.look_for_members()?;
            if scene.containers_named(name).is_empty()
                && let Err(RunError::NotFound { .. }) = find(&scene, name)
            {
                return Ok(Changed {
                    done: format!(
                        "there is no container {name} on the disks that were looked at, nothing to delete"
                    ),
                    already_so: true,
                    dry_run: self.options.dry_run,
                    container: name.into(),
                    ..Changed::default()
                });
            }
        }
        let held = self.hold(name, Act::Delete)?;
        let place = held.scene.place_of(&held.found);
        in_use::refuse(&held.chosen()?.model, place, &Request::Delete, &self.called_here())?;
        let chosen = held.chosen()?;
        check::laws(&chosen.model).map_err(|broken| RunError::Unusable {
            name: format!("container {name}"),
            why: format!("its model breaks a law: {broken}; nothing was written; see evms check {name}"),
        })?;
        // A crash cut the wiping of labels: what is left of the container, a majority or not, may go on losing them.
        let settled = match held.found.deletion() {
            Deletion::Contradicted => return Err(RunError::contradicted(name, &held.found)),
            deletion => deletion == Deletion::Settled,
        };
        let (opened, free) = if settled {
            let order = chosen.image.header.order;
            let (epoch, generation) = (order.epoch.0, order.generation.0);
            (Changed { epoch, generation, ..Changed::default() }, Free::WhatSaysSo)
        } else {
            (self.errand(&held, Request::Delete, Act::Delete)?, Free::All)
        };
        self.unlabel(&held, &opened, free)
    }

    fn unlabel(&mut self, held: &Held, opened: &Changed, free: Free) -> Result<Changed, RunError> {
        let disks = held.disks();
        let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
        let mandate = self
            .may(&held.chosen()?.model, held.scene.place_of(&held.found), Act::Delete)
            .map_err(RunError::Denied)?;
        let mut hands = self.hands(disks);
        let mut paper = Labels::new(held.members(), Rules::ALL);
        let goes = |read: &Read| free == Free::All || says_deleted(read);
        let going = (0..).zip(&held.found.disks).filter(|(_, read)| goes(read)).map(|(lane, _)| lane);
        let going = going.collect::<Vec<_>>();
        going.iter().for_each(|&lane| paper.push_wipe(lane));
        labels::drive(&mut paper, &mandate, &mut hands);
        if let Some(error) = not_freed(&held.name, &paths, &paper, &hands) {
            return Err(error);
        }
        let mut writes = opened.writes.clone();
        if self.options.dry_run {
            writes.extend(write_lines(&hands, &paths));
        }
        Ok(Changed {
            done: match going.len() {
                1 => format!("container {}: deleted, its disk is free", held.name),
                disks => format!("container {}: deleted, its {disks} disks are free", held.name),
            },
            dry_run: self.options.dry_run,
            container: held.chosen()?.model.container.name.to_string(),
            epoch: opened.epoch,
            generation: opened.generation,
            notes: labels_left(held, goes),
            writes,
            ..Changed::default()
        })
    }
}

/// Which disks of a deleted container lose their labels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Free {
    /// Every one that is here: a majority heard of the deletion just now.
    All,
    /// Those that say that it is deleted.
    WhatSaysSo,
}

fn labels_left(held: &Held, goes: impl Fn(&Read) -> bool) -> Vec<String> {
    let word = take::WIPE_EVMS;
    let away = held.found.missing().into_iter().map(|number| {
        format!("disk {number} was not here; if it still carries its label, use it anew with --wipe {word}")
    });
    let stays = held.found.disks.iter().filter(|read| !goes(read)).map(|read| {
        let number = read.labelled.label.number;
        format!(
            "disk {number} never heard of the deletion and keeps its label; use it anew with --wipe {word}"
        )
    });
    away.chain(stays).collect()
}

/// The container is deleted, and some of its disks could not be freed.
fn not_freed(name: &str, paths: &[String], paper: &Labels, hands: &Hands<'_>) -> Option<RunError> {
    let failed = paper.failed();
    if hands.denied.is_some() {
        return Some(hands.stopped(name));
    }
    let which = failed.iter().filter_map(|&lane| paths.get(lane).cloned()).collect::<Vec<_>>().join(", ");
    let why = hands.errors.first().map_or("it did not take it".into(), |(_, error)| error.to_string());
    (!failed.is_empty()).then(|| {
        RunError::say(
            Kind::Device,
            format!(
                "container {name} is deleted, and {which} could not be freed: {why}; say it again when the disk answers, \
                 or use it anew with --wipe {}",
                take::WIPE_EVMS
            ),
        )
    })
}
