//! A cluster under scripts: three nodes with the same disks, a private container that one of them has and one that all share,
//! stamping writers on both, and what happens to network, daemons and machines ([`script`](crate::script)). Behind every round all is
//! mended, and has to come whole (`whole`): one view, the private volume up on one node, no gate closed. Then what writers say is
//! held against what stands on the disks ([`claims`](crate::claims)): nobody wrote behind a takeover, nothing acknowledged is lost, and
//! no writer saw an error whose node was not taken over from.

mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use crate::claims::{self, Writer};
use crate::crew::{Machine, Yard};
use crate::fabric::Rule;
use crate::image::Image;
use crate::kind::Kind;
use crate::scene::Scene;
use crate::score::Score;
use crate::script::{self, Fault, Moment, NODES, Round, Script};
use crate::stampers::{self, Part, Run};
use crate::task::Task;
use crate::trouble::{self, Trouble};

const NAMES: [&str; NODES] = ["n1", "n2", "n3"];
const SIZE_MIB: u64 = 32;
/// Disks of the private container, and of the shared one.
const DISKS: usize = 3;
const POOL_DISKS: usize = 2;
const HOME: &str = "/dev/evms/data/home";
const BOARD: &str = "/dev/evms/pool/board";
/// Blocks of the private volume that are written, and of each node's part of the shared one.
const BLOCKS: u64 = 256;
const BLOCKS_SHARED: u64 = 128;
/// Between two looks at everything, which other clusters need the processors for too.
const LOOK: Duration = Duration::from_millis(500);
/// What is to be mended waits so long at most for a reading behind a takeover.
const READ_MAX: Duration = Duration::from_secs(12);
/// Volumes beside the board at most.
const VOLUMES_MAX: usize = 6;

/// A cluster under scripts, one after another.
pub struct Trial<'a> {
    yard: Yard<'a>,
    machines: [Machine; NODES],
    /// Who had the private container when the round began: the first part of the script.
    holder: usize,
    private: Part,
    shared: [Part; NODES],
    /// Of the next writer, or volume.
    serial: u32,
    going: Vec<Fault>,
    rules: BTreeMap<(usize, usize), Rule>,
    /// Commands whose outcome is open, and the volumes that they make.
    asked: Vec<(usize, Task, String)>,
    /// The shared container's volumes beside the board.
    volumes: BTreeSet<String>,
    /// A reading of the private volume while its newest writer goes on, and what the writers claimed when it began.
    reading: Option<(usize, Task, Vec<Writer>)>,
    /// Was it read since the newest writer began?
    is_read: bool,
    begin: Instant,
    /// What happened so far in the script; and is it told at once?
    said: String,
    is_loud: bool,
    score: Score,
}

/// What the machines of a trial are: disks, a network, and what they boot.
pub fn yard(scene: &Scene, kind: Kind) -> Result<Yard<'_>, Trouble> {
    let disks = (0..DISKS + POOL_DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
    let disks = disks.collect::<Result<Vec<_>, _>>()?;
    let image = Image::of(scene.parts(), kind)?.own_program(scene.parts(), "stamps")?;
    let image = scene.image("stamps", image)?;
    Ok(Yard { scene, kind, image, lan: scene.network("lan1"), disks })
}

impl<'a> Trial<'a> {
    /// Founds the cluster, its containers and their volumes.
    pub fn found(yard: Yard<'a>) -> Result<Self, Trouble> {
        let mut machines = yard.found(NAMES)?;
        let one = machines[0].guest()?;
        let disks = yard.disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        let (data, pool) = disks.split_at(DISKS);
        one.ok(&format!("evms container create data --private --owner n1 {}", data.join(" ")))?;
        one.ok("evms volume create data/home --size 8M --stripes 3 && evms activate data")?;
        one.ok(&format!("evms container create pool --shared {}", pool.join(" ")))?;
        one.ok("evms volume create pool/board --size 8M")?;
        for machine in &mut machines {
            machine.guest()?.ok("evms activate pool")?;
        }
        let part = |node: usize| Part::of(BOARD, node as u64 * BLOCKS_SHARED, BLOCKS_SHARED);
        Ok(Self {
            yard,
            machines,
            holder: 0,
            private: Part::of(HOME, 0, BLOCKS),
            shared: [part(0), part(1), part(2)],
            serial: 0,
            going: Vec::new(),
            rules: BTreeMap::new(),
            asked: Vec::new(),
            volumes: BTreeSet::new(),
            reading: None,
            is_read: false,
            begin: Instant::now(),
            said: String::new(),
            is_loud: true,
            score: Score::default(),
        })
    }

    /// Tells nothing while it goes on: others play beside it.
    pub fn hush(&mut self) {
        self.is_loud = false;
    }

    fn say(&mut self, what: &str) {
        let line = format!("  {:6.1} s  {what}\n", self.begin.elapsed().as_secs_f32());
        if self.is_loud {
            eprint!("{line}");
        }
        self.said.push_str(&line);
        self.yard.scene.events().say("script", what);
    }

    /// What happened in the last script.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// What the last script came to.
    pub fn score(&self) -> Score {
        self.score
    }

    /// Plays a script. An assertion is what broke too.
    pub fn play(&mut self, script: &Script) -> Result<(), Trouble> {
        if self.is_loud {
            eprint!("{script}");
        }
        (self.score, self.begin) = (Score::default(), Instant::now());
        self.said.clear();
        let end = panic::catch_unwind(AssertUnwindSafe(|| self.play_rounds(script)));
        end.unwrap_or_else(|why| {
            Err(Trouble::Unexpected(format!("an assertion: {}", trouble::of_panic(&*why))))
        })
    }

    fn play_rounds(&mut self, script: &Script) -> Result<(), Trouble> {
        for round in &script.rounds {
            self.score.rounds += 1;
            self.begin_writers()?;
            self.suffer(round)?;
            self.come_whole()?;
            self.hold_to_the_laws()?;
            self.see_to(round.chore)?;
        }
        Ok(())
    }

    /// Which machine plays this part in this round.
    fn node(&self, part: usize) -> usize {
        (self.holder + part) % NODES
    }

    fn name(&mut self, node: usize) -> String {
        self.serial += 1;
        format!("{}.{}", NAMES[node], self.serial)
    }

    /// What `evms why` says of a container.
    fn tenure(&mut self, node: usize, container: &str) -> Result<(String, u64), Trouble> {
        let said = self.machines[node].guest()?.ok(&format!("evms why {container} --json"))?;
        let value: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let answer = &value["result"];
        match (answer["owner"].as_str(), answer["epoch"].as_u64()) {
            (Some(owner), Some(epoch)) => Ok((owner.to_string(), epoch)),
            _ => Err(Trouble::Unexpected(format!("evms why said {said}"))),
        }
    }

    /// Every block is written anew, and somebody writes everywhere.
    fn begin_writers(&mut self) -> Result<(), Trouble> {
        for machine in &mut self.machines {
            machine.guest()?.ok("rm -f /tmp/log-* /tmp/task-w-*")?;
        }
        let (_, epoch) = self.tenure(self.holder, "data")?;
        let (node, names) = (self.holder, [self.name(self.holder), self.name(self.holder)]);
        let guest = self.machines[node].guest()?;
        self.private.fill(guest, node, &names[0], epoch)?;
        self.private.start(guest, node, &names[1], epoch)?;
        self.private.wait_for_begin(guest)?;
        let (_, epoch) = self.tenure(self.holder, "pool")?;
        for node in 0..NODES {
            let names = [self.name(node), self.name(node)];
            let (guest, part) = (self.machines[node].guest()?, &mut self.shared[node]);
            part.fill(guest, node, &names[0], epoch)?;
            part.start(guest, node, &names[1], epoch)?;
            part.wait_for_begin(guest)?;
        }
        Ok(())
    }

    /// The faults of a round, each at its time.
    fn suffer(&mut self, round: &Round) -> Result<(), Trouble> {
        let begin = Instant::now();
        for moment in round.moments() {
            let at = Duration::from_millis(moment.at_ms);
            while let Some(left) = at.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
                thread::sleep(left.min(LOOK));
                self.look()?;
            }
            if moment.is_end {
                self.read_behind_a_takeover()?;
            }
            let fault = &round.acts[moment.act].fault;
            let how = if moment.is_end { "over" } else { "now" };
            self.say(&format!("{how}: {fault} (n{} has the container)", self.holder + 1));
            self.change(moment, fault)?;
        }
        Ok(())
    }

    /// Nothing is mended yet: whoever took it over is to be seen alone on it while the old one would still write, if it could.
    fn read_behind_a_takeover(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + READ_MAX;
        let is_alone = |run: &Run| run.node != self.holder && self.machines[run.node].is_well();
        if !self.private.runs().last().is_some_and(is_alone) {
            return Ok(());
        }
        while !self.is_read && Instant::now() < deadline {
            thread::sleep(LOOK);
            self.look()?;
        }
        Ok(())
    }

    fn change(&mut self, moment: Moment, fault: &Fault) -> Result<(), Trouble> {
        if !moment.is_end {
            self.going.push(fault.clone());
        } else if let Some(place) = self.going.iter().position(|going| going == fault) {
            self.going.remove(place);
        }
        let Some(victim) = fault.victim().map(|part| self.node(part)) else {
            return match fault {
                Fault::Asked(part) if !moment.is_end => self.ask(self.node(*part)),
                Fault::Asked(_) => Ok(()),
                _ => self.lay_rules(),
            };
        };
        if moment.is_end { self.mend(victim, fault) } else { self.harm(victim, fault) }
    }

    fn harm(&mut self, victim: usize, fault: &Fault) -> Result<(), Trouble> {
        self.look_at(victim)?;
        match fault {
            // Where its clocks go on while it stands, what it has says by them that it may write no more: nothing is forgiven then.
            Fault::Paused(_) if self.yard.kind == Kind::Emulated => {
                self.parts().for_each(|part| part.note_sleep(victim));
            }
            Fault::Off(_) | Fault::Bitten(_) => self.lose(victim),
            _ => {}
        }
        self.machines[victim].suffer(fault)
    }

    fn mend(&mut self, victim: usize, fault: &Fault) -> Result<(), Trouble> {
        if self.machines[victim].recover(fault, &self.yard)? {
            self.score.boots += 1;
            self.lose(victim);
        }
        Ok(())
    }

    /// What goes with a machine.
    fn lose(&mut self, victim: usize) {
        self.parts().for_each(|part| part.note_loss(victim));
        if self.reading.as_ref().is_some_and(|(node, ..)| *node == victim) {
            self.reading = None;
        }
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.shared.iter_mut().chain([&mut self.private])
    }

    /// Every lane is as all that is going on would have it.
    fn lay_rules(&mut self) -> Result<(), Trouble> {
        for (from, to) in (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to))) {
            let part = |node: usize| (node + NODES - self.holder) % NODES;
            let rule = script::rule(&self.going, part(from), part(to));
            if from != to && self.rules.insert((from, to), rule).unwrap_or_default() != rule {
                self.yard.lan.lay(NAMES[from], NAMES[to], rule);
            }
        }
        Ok(())
    }

    /// A volume is asked for, whatever comes of it.
    fn ask(&mut self, node: usize) -> Result<(), Trouble> {
        if self.volumes.len() + self.asked.len() >= VOLUMES_MAX || !self.machines[node].is_well() {
            return Ok(());
        }
        self.serial += 1;
        let name = format!("x{}", self.serial);
        let command = format!("evms volume create pool/{name} --size 1M");
        let task = Task::start(self.machines[node].guest()?, &format!("asked-{name}"), &command)?;
        self.asked.push((node, task, name));
        Ok(())
    }

    /// Looks at everything that can be looked at; starts a writer where the private volume came up.
    fn look(&mut self) -> Result<(), Trouble> {
        for (node, node_name) in NAMES.into_iter().enumerate() {
            let is_up = self.look_at(node)?;
            if !is_up || self.private.has_writer(node) || !self.machines[node].is_well() {
                continue;
            }
            // On its way, or on its way down.
            let (owner, epoch) = match self.tenure(node, "data") {
                Err(Trouble::Code { .. }) => continue,
                tenure => tenure?,
            };
            if owner == node_name {
                let name = self.name(node);
                self.say(&format!("{HOME} is up on {owner}, by epoch {epoch}: {name} writes"));
                self.private.start(self.machines[node].guest()?, node, &name, epoch)?;
                self.is_read = false;
            }
        }
        self.read_along()
    }

    /// Whether the private volume is up there.
    fn look_at(&mut self, node: usize) -> Result<bool, Trouble> {
        if !self.machines[node].answers() {
            return Ok(false);
        }
        let (said, is_up) = stampers::look(self.machines[node].guest()?, HOME)?;
        self.parts().for_each(|part| part.take(node, &said));
        Ok(is_up)
    }

    /// Whoever took it over and has been all over it is alone on it: the blocks are read while it goes on.
    fn read_along(&mut self) -> Result<(), Trouble> {
        if let Some((node, task, claims)) = self.reading.take() {
            if !self.machines[node].answers() || !task.is_over(self.machines[node].guest()?)? {
                self.reading = Some((node, task, claims));
                return Ok(());
            }
            let said = task.end(self.machines[node].guest()?)?;
            // Its volume may have gone meanwhile.
            if said.code == 0 {
                self.score.readings += 1;
                self.is_read = true;
                let findings = claims::check_alone(&claims, &claims::blocks(&said.text())?);
                self.judge("on the private volume, while it is written", findings)?;
            }
        }
        let Some(run) = self.private.runs().last() else { return Ok(()) };
        let (node, is_taken) = (run.node, self.private.runs().len() > 2);
        if is_taken && self.private.is_overwritten() && self.machines[node].is_well() {
            let (claims, command) = (self.private.claims(), self.private.reading());
            self.serial += 1;
            let task =
                Task::start(self.machines[node].guest()?, &format!("reading-{}", self.serial), &command)?;
            self.reading = Some((node, task, claims));
        }
        Ok(())
    }
}
