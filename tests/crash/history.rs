//! Random longer histories: machines come and go, disks too, power fails, writes are dropped by a lying disk, one end
//! of a disk rots. One seed decides all of it.

use evms::base::dice::Dice;
use evms::format::layout::{End, SlotIndex};
use evms::volume::commit::io::Op;
use evms::volume::mistake::Rules;

use crate::author::{Actor, Task};
use crate::disk::Kept;
use crate::laws::Broken;
use crate::recover::{attempt, recover};
use crate::world::{Schedule, World};

const STEPS_MAX: u64 = 1500;
/// At most this many disks are away or lying at once: the laws promise nothing without a majority.
const DISKS: u16 = 4;

struct Story<'a> {
    world: World,
    dice: &'a mut Dice,
    rules: Rules,
    actors: Vec<Actor>,
    away: Option<u16>,
}

pub fn run(seed: u64, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut dice = Dice::from_number(seed);
    let mut world = World::new(DISKS);
    let members = (1..=1 + dice.below(3) as u16).collect::<Vec<_>>();
    world.label_disks(&members);
    let mut actor = world.actor(1, Task::Found(members), &(1..=DISKS).collect::<Vec<_>>(), rules);
    world.run(&mut actor, Schedule::Breadth)?;
    let mut story = Story { world, dice: &mut dice, rules, actors: Vec::new(), away: None };
    for _ in 0..story.dice.below(STEPS_MAX) {
        story.step()?;
    }
    story.end(cases)
}

impl Story<'_> {
    fn present(&self) -> Vec<u16> {
        self.world.numbers().into_iter().filter(|number| Some(*number) != self.away).collect()
    }

    fn step(&mut self) -> Result<(), Broken> {
        let what = self.dice.below(200);
        if what < 6 {
            trace(
                &["power cut", "disk away", "disk back", "machine dies", "disk lies", "end rots"]
                    [what as usize],
            );
        }
        match what {
            0 => self.power_cut(),
            1 => self.away = Some(1 + self.dice.below(u64::from(DISKS)) as u16),
            2 => self.away = None,
            3 => drop((!self.actors.is_empty()).then(|| self.actors.remove(0))),
            4 => self.lie(),
            5 if self.actors.is_empty() => self.rot(),
            _ => return self.act(),
        }
        let present = self.present();
        self.actors.iter_mut().for_each(|actor| actor.present = present.clone());
        Ok(())
    }

    fn power_cut(&mut self) {
        for disk in self.world.disks.values_mut() {
            let kept = [Kept::Nothing, Kept::All, Kept::Front, Kept::Back][self.dice.below(4) as usize];
            disk.lose_power(kept);
            disk.drops_writes = false;
        }
        self.actors.clear();
    }

    /// From now to the next power cut one disk says "written" and forgets it; with three others true, nothing is lost.
    fn lie(&mut self) {
        if self.away.is_none() && self.actors.is_empty() && self.world.discover(&self.present()).len() >= 3 {
            let number = 1 + self.dice.below(u64::from(DISKS)) as u16;
            if let Some(disk) = self.world.disks.get_mut(&number) {
                disk.drops_writes = true;
            }
        }
    }

    /// The slots of one end of one disk rot while nobody writes: the other end must do.
    fn rot(&mut self) {
        let end = End::BOTH[self.dice.below(2) as usize];
        let number = 1 + self.dice.below(u64::from(DISKS)) as u16;
        let present = self.present();
        // Heal first: every disk holds the last commit at both ends, then one end of one disk goes.
        if attempt(&mut self.world, 1, &Task::Readmit, &present, self.rules) != Ok(true) {
            return;
        }
        let Some(disk) = self.world.disks.get_mut(&number) else { return };
        trace(&("rotten", number, end));
        for index in SlotIndex::BOTH {
            let area = self.world.layout.slot(index, end);
            disk.rot(area.start_bytes().0, area.length_bytes().0);
        }
    }

    fn task(&mut self) -> Task {
        let disk = 1 + self.dice.below(u64::from(DISKS)) as u16;
        let node = 1 + self.dice.below(3) as u16;
        let members = self.world.discover(&self.present());
        let labelled = members.iter().any(|member| member.number.0 == disk);
        match self.dice.below(8) {
            0 | 1 if !labelled && self.away.is_none() => Task::Expand(disk),
            2 if labelled && members.len() > 1 => Task::Shrink(disk),
            3 => Task::Own(node),
            4 => Task::Deport,
            5 => Task::Import(node),
            6 => Task::Readmit,
            _ => Task::Bump,
        }
    }

    fn act(&mut self) -> Result<(), Broken> {
        if self.actors.is_empty() || (self.actors.len() < 2 && self.dice.below(40) == 0) {
            let task = self.task();
            // Two machines are two: the one that acts already does not act twice.
            let busy = self.actors.first().map(|actor| actor.node);
            let node = [1, 2, 3]
                .into_iter()
                .filter(|node| Some(*node) != busy)
                .nth(self.dice.below(2) as usize)
                .unwrap();
            // Machines that take turns hand a block over only with a new life.
            let present = self.present();
            trace(&(node, &task, &present));
            let actor = self.world.actor(node, task, &present, self.rules);
            self.actors.push(actor);
        }
        let chosen = self.dice.below(self.actors.len() as u64) as usize;
        let mut actor = self.actors.remove(chosen);
        let asks = actor.waiting();
        if asks.is_empty() {
            trace(&actor.outcome());
            return self.world.take_acks(&mut actor);
        }
        let ask = asks[self.dice.below(asks.len() as u64) as usize].clone();
        if matches!(ask.op, Op::Write { .. }) && self.dice.below(60) == 0 {
            self.actors.push(actor);
            self.power_cut();
            return Ok(());
        }
        actor.take(&ask);
        self.world.execute(&mut actor, &ask)?;
        let before = self.world.laws.acked.len();
        let result = self.world.take_acks(&mut actor);
        trace(&(
            actor.node,
            actor.disk_of_lane(ask.lane),
            crate::world::op_words(&ask.op),
            &self.world.laws.acked[before..],
        ));
        self.actors.push(actor);
        result
    }

    fn end(mut self, cases: &mut u64) -> Result<(), Broken> {
        self.power_cut();
        let all = self.world.numbers();
        recover(&self.world, &all, self.rules, cases)
    }
}

/// With `EVMS_TRACE` set, a replayed history is told step by step.
fn trace(what: &dyn std::fmt::Debug) {
    if std::env::var_os("EVMS_TRACE").is_some() {
        println!("    {what:?}");
    }
}
