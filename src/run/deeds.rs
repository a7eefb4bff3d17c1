//! Who had a container, since when and on which evidence: its deeds, which stand in its model, and what older models in the rings say of
//! takeovers from a time without deeds.

use std::collections::BTreeMap;

use crate::base::epoch::Order;
use crate::format::model::deed::{self, Deed};
use crate::format::model::{ChangeKind, ContainerKind, Model};
use crate::run::change::find;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::history::kept;
use crate::run::report::{DeedLine, Deeds};
use crate::run::scene::Scene;
use crate::volume::choose::Chosen;
use crate::volume::discover::Found;

/// When a container came to who has it, and how.
pub(super) struct Since {
    /// The wall time of that change; empty when it was not written down.
    pub at: String,
    /// Who made it.
    pub by: String,
    /// In words.
    pub words: String,
}

/// Since when a container has the kind and the owner that it has.
pub(super) fn since(model: &Model) -> Since {
    // Who is counted out of a shared container leaves a deed too, and that is not the one by which it became so.
    let first = model.deeds.iter().rev().take_while(|deed| deed.is_of(&model.container)).last();
    // Where older ones gave way, the oldest of a shared one may be about somebody who was counted out, long after.
    let is_cut = |deed: &&Deed| {
        deed.number > 1 && deed.kind == ContainerKind::Shared && model.deeds.first() == Some(*deed)
    };
    match first.filter(|deed| !is_cut(deed)) {
        Some(Deed { at, by, text, .. }) => {
            Since { at: at.to_string(), by: name(by.as_ref()), words: text.clone() }
        }
        None => Since {
            at: String::new(),
            by: String::new(),
            words: match first {
                Some(deed) => format!("before {}: what was done then gave way to newer deeds", deed.at),
                None => format!("before {}: what was done then was not written down", model.change.at),
            },
        },
    }
}

fn name(name: Option<&crate::base::name::Name>) -> String {
    name.map_or(String::new(), ToString::to_string)
}

fn word(why: ChangeKind) -> &'static str {
    match why {
        ChangeKind::Create => "founded",
        ChangeKind::Opening | ChangeKind::Change | ChangeKind::Settle => "given",
        ChangeKind::Takeover => "taken",
    }
}

fn line(container: &str, deed: &Deed) -> DeedLine {
    DeedLine {
        at: deed.at.to_string(),
        container: container.into(),
        epoch: deed.order.epoch.0,
        generation: deed.order.generation.0,
        how: word(deed.why),
        by: name(deed.by.as_ref()),
        words: deed.text.clone(),
    }
}

impl Context {
    /// Every deed of this container or of all that are here, by container and newest first: from whom, by whom, on which evidence. With `taken_only`
    /// takeovers alone.
    pub fn deeds(&self, name: Option<&str>, taken_only: bool) -> Result<Deeds, RunError> {
        let scene = self.look_for_members()?;
        let one = name.map(|name| find(&scene, name).map(|(found, _)| found.id)).transpose()?;
        let mut answer = Deeds::default();
        for found in scene.containers.iter().filter(|found| one.is_none_or(|id| id == found.id)) {
            match &found.chosen {
                Ok(chosen) => add(&mut answer, &scene, found, chosen),
                Err(_) => answer.unread.push(found.id.to_string()),
            }
        }
        answer.deeds.retain(|line| !taken_only || line.how == word(ChangeKind::Takeover));
        // By the order in which they were committed, and not by clocks that may have been wrong.
        let place = |line: &DeedLine| (line.epoch, line.generation);
        answer.deeds.sort_by(|one, other| {
            one.container.cmp(&other.container).then_with(|| place(other).cmp(&place(one)))
        });
        Ok(answer)
    }
}

fn add(answer: &mut Deeds, scene: &Scene, found: &Found, chosen: &Chosen) {
    let Model { deeds, container, .. } = &chosen.model;
    let name = container.name.to_string();
    let mut lines: BTreeMap<Order, DeedLine> =
        deeds.iter().map(|deed| (deed.order, line(&name, deed))).collect();
    let gone = deeds.first().map_or(0, |first| first.number.saturating_sub(1));
    if gone > 0 {
        answer.notes.push(format!("container {name}: {gone} older ones gave way to newer ones"));
    }
    if let Some(number) = deed::broken_at(deeds) {
        answer.notes.push(format!(
            "container {name}: number {number} does not follow the one before it: somebody changed what stands there, and what is told of \
             this container is not to be trusted; see: evms history {name}"
        ));
    }
    // From the founding on all of them are there; else models that the rings still keep may know more.
    if deeds.first().is_none_or(|first| first.why != ChangeKind::Create) {
        let taken = kept(scene, found).into_iter().filter_map(|kept| {
            let model = Model::decode(&kept.image.body).ok()?;
            let change = model.change;
            let order = kept.image.header.order;
            let line = DeedLine {
                at: change.at.to_string(),
                container: name.clone(),
                epoch: order.epoch.0,
                generation: order.generation.0,
                how: word(change.kind),
                by: self::name(change.by.as_ref()),
                words: change.text,
            };
            (change.kind == ChangeKind::Takeover).then_some((order, line))
        });
        taken.for_each(|(order, line)| {
            lines.entry(order).or_insert(line);
        });
    }
    answer.deeds.extend(lines.into_values());
}
