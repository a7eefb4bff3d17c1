//! Requests by dice: after each one the model is lawful, every extent is accounted for, and what was refused or was so
//! already changed nothing.

use super::*;
use crate::volume::{alloc, check, plugins};

struct World {
    model: Model,
    generation: u64,
    dice: Dice,
    past: Vec<Model>,
    next_disk: u8,
}

fn some_size(dice: &mut Dice) -> Size {
    match dice.below(5) {
        0 => Size::PercentFree(1 + dice.below(100) as u8),
        _ => Size::Exactly(Bytes(512 * (1 + dice.below(120_000)))),
    }
}

fn some_resize(dice: &mut Dice) -> Resize {
    let size = some_size(dice);
    match dice.below(4) {
        0 => Resize::Grow(size),
        1 => Resize::Shrink(size),
        _ => Resize::To(size),
    }
}

fn some_content(dice: &mut Dice) -> Content {
    match dice.below(3) {
        0 => Content::Unknown,
        1 => Content::FileSystem { name: "xfs".into(), size: Bytes(dice.below(60 * MIB)) },
        _ => Content::Empty,
    }
}

impl World {
    fn new(seed: u64) -> World {
        let model = container(&[12, 9, 15]);
        World { model, generation: 1, dice: Dice::from_number(seed), past: vec![], next_disk: 20 }
    }

    fn some_name(&mut self) -> crate::base::name::Name {
        name(["a", "b", "c", "d", "e", "f"][self.dice.below(6) as usize])
    }

    fn some_disks(&mut self) -> Vec<DiskNumber> {
        let count = self.dice.below(3);
        (0..count)
            .map(|_| disk(1 + self.dice.below(u64::from(self.model.table.next_number)) as u16))
            .collect()
    }

    fn about_volumes(&mut self) -> Request {
        let (name, dice) = (self.some_name(), &mut self.dice);
        match dice.below(9) {
            0..4 => Request::VolumeCreate {
                name,
                size: some_size(dice),
                stripes: [None, Some(1), Some(2), Some(3)][dice.below(4) as usize],
                stripe_bytes: (dice.below(4) == 0).then_some(Bytes(4096 << dice.below(12))),
                on: if dice.below(4) == 0 { self.some_disks() } else { vec![] },
            },
            4 | 5 => Request::VolumeExpand { name, size: some_resize(dice), on: vec![] },
            6 => {
                let (size, content) = (some_resize(dice), some_content(dice));
                let lose_data_beyond = (dice.below(2) == 0).then_some(Bytes(dice.below(60 * MIB)));
                Request::VolumeShrink { name, size, content, lose_data_beyond }
            }
            7 => Request::VolumeRename { name, new: self.some_name() },
            _ => Request::VolumeDelete { name },
        }
    }

    fn about_disks(&mut self) -> Request {
        match self.dice.below(5) {
            0 => {
                self.next_disk += 1;
                Request::Expand { disks: vec![new_disk(self.next_disk, 1 + self.dice.below(12))] }
            }
            1 => Request::Shrink { disks: self.some_disks() },
            2 => Request::Readmit { disks: self.some_disks() },
            _ => Request::Settle,
        }
    }

    fn some_request(&mut self) -> Request {
        match self.dice.below(20) {
            0..13 => self.about_volumes(),
            13..17 => self.about_disks(),
            17 if !self.past.is_empty() => {
                let which = self.dice.below(self.past.len() as u64) as usize;
                Request::Restore { from: Box::new(self.past[which].clone()) }
            }
            18 => Request::Modify { owner: None, kind: None, name: Some(self.some_name()) },
            _ => {
                let kinds = [ContainerKind::Private, ContainerKind::Shared, ContainerKind::Deported];
                hand(None, Some(kinds[self.dice.below(3) as usize]))
            }
        }
    }

    /// Something that happens between plans: a disk goes absent, another machine is admitted or confirms.
    fn weather(&mut self) {
        let generation = self.generation;
        let holders = &mut self.model.container.holders;
        match self.dice.below(12) {
            0 if self.model.table.disks.iter().filter(|disk| disk.state == DiskState::In).count() > 1 => {
                let missing = self.dice.below(u64::from(self.model.table.next_number)) as u16;
                let all = self
                    .model
                    .table
                    .disks
                    .iter()
                    .map(|disk| disk.number)
                    .filter(|number| number.0 != missing);
                let reached: Vec<DiskNumber> = all.collect();
                mark_absent(&mut self.model, &reached, Generation(generation + 1));
            }
            1 if self.model.container.kind == ContainerKind::Shared && holders.len() < 3 => {
                let life = 10 + holders.len() as u8;
                holders.retain(|holder| holder.node != asker(2, life).machine.node);
                holders.push(holder(2, life, generation - 1, false));
            }
            2 | 3 => holders.iter_mut().for_each(|holder| holder.confirmed = Generation(generation)),
            4 => holders.retain(|holder| holder.node != asker(2, 1).machine.node),
            _ => {}
        }
    }

    fn step(&mut self) -> bool {
        self.weather();
        let request = self.some_request();
        let before = self.model.clone();
        let outcome = plan(&self.model, at(self.generation), &request, &asker(1, 1), &mut self.dice);
        assert_eq!(self.model, before);
        let Ok(Outcome::Next(planned)) = outcome else {
            if let Err(refusal) = outcome {
                let words = told(refusal).0;
                assert!(
                    !words.contains("mistake in evms") && !words.contains("model is damaged"),
                    "{request:?}: {words}"
                );
            }
            return false;
        };
        self.conserved(&before, &planned.model, &request);
        self.past.push(before);
        self.past.truncate(40);
        self.model = planned.model;
        self.generation += 1;
        true
    }

    fn conserved(&self, before: &Model, after: &Model, request: &Request) {
        assert_eq!(check::all(after), [], "{request:?}");
        let next = Generation(self.generation + 1);
        let usage = alloc::usage(after, next);
        let parts = usage.used.0 + usage.waiting.0 + usage.free.0 + usage.absent.0;
        assert_eq!(parts, usage.total.0, "{request:?}");
        assert_eq!(alloc::FreeSpace::of(after, next).total(), usage.free);
        let runs = |model: &Model| -> Vec<Run> { alloc::region_runs(model).collect() };
        let new = crate::volume::runs::subtract(runs(after), runs(before));
        let waiting = before.freed.iter().filter(|freed| !available_then(before, freed, self.generation));
        let early = crate::volume::runs::common(new.clone(), waiting.map(|freed| freed.run).collect());
        assert_eq!(early, [], "given out in quarantine: {request:?}");
        for run in new {
            assert_eq!(before.disk(run.disk).map(|disk| disk.state), Some(DiskState::In), "{request:?}");
        }
        let lines = crate::volume::lines::Geometry::of(after);
        for region in &after.regions {
            assert!(plugins::manager(region).unwrap().lines(region, &lines).is_some());
        }
    }
}

/// The rule of quarantine, said otherwise than in `alloc`: the asker's own word counts as given when it holds alone.
fn available_then(model: &Model, freed: &Freed, generation: u64) -> bool {
    let me = asker(1, 1).machine.node;
    let others: Vec<&Holder> =
        model.container.holders.iter().filter(|other| !other.expelled && other.node != me).collect();
    let mine = model.container.holders.iter().find(|other| other.node == me);
    let mine_done = others.is_empty() || mine.is_none_or(|mine| freed.generation <= mine.confirmed);
    freed.generation.0 <= generation
        && mine_done
        && others.iter().all(|other| freed.generation <= other.confirmed)
}

#[test]
fn no_request_leads_to_an_unlawful_model() {
    let mut done = 0;
    for seed in 0..60 {
        let mut world = World::new(seed);
        done += (0..80).filter(|_| world.step()).count();
    }
    assert!(done > 1000, "{done} requests were carried out; the dice are too unkind to prove anything");
}

#[test]
fn what_was_done_is_so() {
    let mut world = World::new(99);
    let mut said = 0;
    for _ in 0..600 {
        let request = world.about_volumes();
        let outcome = plan(&world.model, at(world.generation), &request, &asker(1, 1), &mut world.dice);
        let Ok(Outcome::Next(planned)) = outcome else { continue };
        world.model = planned.model;
        world.generation += 1;
        let by = |size: &Resize| matches!(size, Resize::Grow(_) | Resize::Shrink(_));
        let relative = matches!(&request, Request::VolumeExpand { size, .. } | Request::VolumeShrink { size, .. } if by(size));
        if !relative {
            let again = plan(&world.model, at(world.generation), &request, &asker(1, 1), &mut world.dice);
            assert!(matches!(again, Ok(Outcome::AlreadySo(_))), "{request:?}: {again:?}");
            said += 1;
        }
    }
    assert!(said > 100, "{said}");
}
