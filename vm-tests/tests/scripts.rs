//! Faults by chance, against the laws: three nodes with the same disks, a private container that one of them has and one that all share,
//! stamping writers on both, and scripts (`script`) of what happens to network, daemons and machines, each thrown from one seed. Behind
//! every round all is mended, and has to come whole: one view, the private volume up on one node, no gate closed. Then what writers
//! say is held against what stands on the disks (`claims`): nobody wrote behind a takeover, nothing acknowledged is lost, and no
//! writer saw an error whose node was not taken over from.
//!
//! `EVMS_VM_SCRIPTS=24`: so many, their seeds go on where `../SCRIPTS.md` ends, and each is written down there. `EVMS_VM_LONG=1`: 24
//! from a fresh seed on. `EVMS_VM_SEED`: the first seed, one script if no count is given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use vm_tests::claims::{self, Findings, Writer};
use vm_tests::cluster::QUORATE;
use vm_tests::crew::{Machine, Yard};
use vm_tests::dice::SEED_VARIABLE;
use vm_tests::fabric::Rule;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::scene;
use vm_tests::score::{self, Score};
use vm_tests::script::{self, Chore, Fault, Moment, NODES, Round, Script};
use vm_tests::stampers::{self, Part, Run};
use vm_tests::task::{Task, until_done, wait_until};
use vm_tests::trouble::Trouble;

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
/// Between two looks at everything.
const LOOK: Duration = Duration::from_millis(300);
/// All nodes are in one view so soon after all is mended: many times what that takes, for what guests under emulation take for it.
const WHOLE: Limit = Limit::seconds("one view of all nodes", 60);
/// What takes longer is told: who was lost several times in a minute is waited for longer each time, 16 s at most (F7).
const LONG: Duration = Duration::from_secs(20);
/// What is to be mended waits so long at most for a reading behind a takeover.
const READ_MAX: Duration = Duration::from_secs(12);
/// Of many findings so many are told.
const SHOWN: usize = 8;
/// Volumes beside the board at most.
const VOLUMES_MAX: usize = 6;
/// Tries to find the one node that has the private volume up; another one may just be taking it.
const TRIES_MAX: usize = 60;
const VIEW: &str = "evms status | grep -q '^view .*: n1 n2 n3$'";
/// No gate is anything but open.
const ALL_OPEN: &str = "evms-fence status --json >/tmp/gates && ! grep -qE '\"state\":\"(closed|draining|unknown|refused|gone)\"' /tmp/gates";

/// Nothing is to be mended.
const CHECKED: &str = "evms check data pool && evms check data pool | grep -q 'all is well'";

struct Bench<'a> {
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
    score: Score,
}

/// Proves that whatever comes over a cluster leaves one writer, all that was acknowledged, and a cluster that comes whole again.
#[test]
fn no_law_is_broken_by_any_script() {
    let (first, count) = score::seeds();
    scene::play("scripts", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..DISKS + POOL_DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        let image = Image::usual(scene.parts())?.own_program(scene.parts(), "stamps")?;
        let image = scene.image("stamps", image)?;
        let mut bench = Bench::found(Yard { scene, image, lan, disks })?;
        for seed in first..first + count {
            let begin = Instant::now();
            bench.score = Score::default();
            // An assertion is what broke too, and belongs into the ledger as well.
            let end = panic::catch_unwind(AssertUnwindSafe(|| bench.play(&Script::of(seed))));
            let end = end.unwrap_or_else(|_| Err(Trouble::Unexpected("a panic: see above".into())));
            score::note(seed, &bench.score, begin.elapsed(), end.as_ref().err())?;
            end.map_err(|trouble| {
                let replay = format!("{SEED_VARIABLE}={seed} plays it again");
                Trouble::Unexpected(format!("{replay}\n{}{trouble}", Script::of(seed)))
            })?;
        }
        Ok(())
    });
}

impl<'a> Bench<'a> {
    fn found(yard: Yard<'a>) -> Result<Self, Trouble> {
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
            score: Score::default(),
        })
    }

    fn say(&self, what: &str) {
        eprintln!("  {:6.1} s  {what}", self.begin.elapsed().as_secs_f32());
        self.yard.scene.events().say("script", what);
    }

    fn play(&mut self, script: &Script) -> Result<(), Trouble> {
        eprint!("{script}");
        self.begin = Instant::now();
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
            Fault::Paused(_) => self.parts().for_each(|part| part.note_sleep(victim)),
            Fault::Off(_) | Fault::Bitten(_) => self.lose(victim),
            _ => {}
        }
        self.machines[victim].suffer(fault)
    }

    fn mend(&mut self, victim: usize, fault: &Fault) -> Result<(), Trouble> {
        self.score.boots += usize::from(matches!(fault, Fault::Off(_) | Fault::Bitten(_)));
        self.machines[victim].recover(fault, &self.yard)
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
            self.look_at(node)?;
            let machine = &mut self.machines[node];
            if self.private.has_writer(node)
                || !machine.is_well()
                || machine.guest()?.run(&format!("[ -e {HOME} ]"))?.code != 0
            {
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

    fn look_at(&mut self, node: usize) -> Result<(), Trouble> {
        if self.machines[node].answers() {
            let said = stampers::look(self.machines[node].guest()?)?;
            self.parts().for_each(|part| part.take(node, &said));
        }
        Ok(())
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

    /// All is mended by now: the cluster is one, the private volume is up on one node, the shared one on all, and no gate is closed.
    fn come_whole(&mut self) -> Result<(), Trouble> {
        assert!(self.going.is_empty() && self.rules.values().all(|rule| *rule == Rule::default()));
        for node in 0..NODES {
            if self.machines[node].revive_evmsd()? {
                self.say(&format!("evmsd of n{} had ended by itself", node + 1));
            }
        }
        self.wait_for_one_view()?;
        self.end_what_was_asked()?;
        let holder = self.the_one_holder()?;
        self.say(&format!("the private volume is up on n{}", holder + 1));
        if holder != self.holder {
            self.score.takeovers += 1;
        }
        self.holder = holder;
        for machine in &mut self.machines {
            until_done(machine.guest()?, &format!("evms activate pool && {ALL_OPEN}"))?;
        }
        for machine in &mut self.machines {
            until_done(machine.guest()?, CHECKED)?;
        }
        self.say("the shared volume is up on all, no gate is closed, and check finds nothing");
        Ok(())
    }

    /// All nodes are in one view, by which they are quorate. Where that takes long it is said how each of them sees it.
    fn wait_for_one_view(&mut self) -> Result<(), Trouble> {
        let (begin, deadline, mut is_told) = (Instant::now(), WHOLE.deadline(), false);
        loop {
            let mut outside = Vec::new();
            for machine in &mut self.machines {
                if machine.guest()?.run(&format!("{VIEW} && {QUORATE}"))?.code != 0 {
                    outside.push(machine.name().to_string());
                }
            }
            let seconds = begin.elapsed().as_secs_f32();
            if outside.is_empty() {
                self.say(&format!("one view of three nodes, quorate, {seconds:.1} s after all was mended"));
                return Ok(());
            }
            let is_late = Instant::now() > deadline;
            if is_late || (!is_told && begin.elapsed() > LONG) {
                is_told = true;
                for node in 0..NODES {
                    let said =
                        self.machines[node].guest()?.run("evms status; evms why; dmesg | tail -n 20")?;
                    self.say(&format!(
                        "{seconds:.1} s after all was mended, n{}:\n{}",
                        node + 1,
                        said.text()
                    ));
                }
            }
            if is_late {
                return Err(Trouble::Unexpected(format!("no view of all: {outside:?} are outside")));
            }
            self.look()?;
        }
    }

    /// Which node has the private volume up; where none has, it comes up on its owner when that is asked.
    fn the_one_holder(&mut self) -> Result<usize, Trouble> {
        let mut said = String::new();
        for _ in 0..TRIES_MAX {
            let mut holders = Vec::new();
            for node in 0..NODES {
                wait_until(self.machines[node].guest()?, ALL_OPEN)?;
                if self.machines[node].guest()?.run(&format!("[ -e {HOME} ]"))?.code == 0 {
                    holders.push(node);
                }
            }
            match holders.as_slice() {
                [holder] => return Ok(*holder),
                [] => {}
                _ => return Err(Trouble::Unexpected(format!("two have it up: {holders:?}"))),
            }
            said.clear();
            for machine in &mut self.machines {
                let answer = machine.guest()?.run("evms activate data")?;
                let _ = write!(said, "{}: {}", machine.name(), answer.text());
                if answer.code == 0 {
                    break;
                }
            }
        }
        Err(Trouble::Unexpected(format!("it comes up on no node: {said}")))
    }

    /// A change that was acknowledged is there; what was not, may be.
    fn end_what_was_asked(&mut self) -> Result<(), Trouble> {
        for (node, task, name) in std::mem::take(&mut self.asked) {
            let guest = self.machines[node].guest()?;
            let (said, listed) = (task.end(guest)?, guest.ok("evms list volumes")?);
            let is_there = listed.contains(&format!("pool/{name} "));
            let first = said.text().lines().last().unwrap_or_default().to_string();
            self.say(&format!("n{} was asked for pool/{name}: {} {first}", node + 1, said.code));
            if said.code == 0 && !is_there {
                return Err(Trouble::Unexpected(format!("pool/{name} was acknowledged and is gone")));
            }
            if is_there {
                self.volumes.insert(name);
            }
        }
        for machine in &mut self.machines {
            let listed = machine.guest()?.ok("evms list volumes")?;
            let lost = self.volumes.iter().find(|name| !listed.contains(&format!("pool/{name} ")));
            assert_eq!(lost, None, "as {} lists the shared container's volumes", machine.name());
        }
        Ok(())
    }

    /// What writers say against what stands.
    fn hold_to_the_laws(&mut self) -> Result<(), Trouble> {
        for node in 0..NODES {
            self.private.end(node, &mut self.machines[node])?;
            self.shared[node].end(node, &mut self.machines[node])?;
        }
        let seen = self.private.read(self.machines[self.holder].guest()?)?;
        let claims = self.private.claims();
        let mut findings = claims::check(&claims, &seen);
        findings.broken.extend(claims::check_epochs(&claims));
        findings.broken.extend(self.unjust_errors()?);
        self.score.writes += claims.iter().map(|writer| writer.acked).sum::<u64>();
        self.judge("on the private volume", findings)?;
        for node in 0..NODES {
            // As another node reads it.
            let seen = self.shared[node].read(self.machines[(node + 1) % NODES].guest()?)?;
            let claims = self.shared[node].claims();
            self.score.writes += claims.iter().map(|writer| writer.acked).sum::<u64>();
            self.judge(&format!("on the part of n{}", node + 1), claims::check(&claims, &seen))?;
        }
        self.reading = None;
        self.say("what was written is what stands");
        Ok(())
    }

    fn judge(&mut self, place: &str, findings: Findings) -> Result<(), Trouble> {
        if findings.late_blocks > 0 {
            self.score.late_blocks += findings.late_blocks;
            self.say(&format!(
                "{place}: {} blocks of who stood still, over {} us",
                findings.late_blocks, findings.late_us
            ));
        }
        match findings.broken.as_slice() {
            [] => Ok(()),
            broken => {
                let (count, first) = (broken.len(), &broken[..broken.len().min(SHOWN)]);
                Err(Trouble::Unexpected(format!("{place}, {count} findings:\n  {}", first.join("\n  "))))
            }
        }
    }

    /// Writers see an error when their node was taken over from, or counted out, and not else.
    fn unjust_errors(&mut self) -> Result<Vec<String>, Trouble> {
        let holder = self.machines[self.holder].guest()?;
        let (data, pool) = (holder.ok("evms history data")?, holder.ok("evms history pool")?);
        let mut unjust = Vec::new();
        let runs = self.private.runs().iter().map(|run| (run, &data, "taken over from"));
        for (run, history, words) in
            runs.chain(self.shared.iter().flat_map(Part::runs).map(|run| (run, &pool, "counted out")))
        {
            let Some(failed) = &run.failed else { continue };
            self.score.errors += 1;
            let name = NAMES[run.node];
            let is_just = claims::is_told(history, run.writer.epoch, words, name);
            if words == "counted out" {
                self.score.counted_out += 1;
            }
            if !is_just || !failed.contains("Input/output error") {
                unjust.push(format!("{} failed: {failed}; but: {history}", run.writer.name));
            }
        }
        Ok(unjust)
    }

    /// What an administrator does between two rounds; said again when a machine that stood still for a moment cost the quorum.
    fn see_to(&mut self, chore: Chore) -> Result<(), Trouble> {
        self.say(&format!("then: {chore}"));
        match chore {
            Chore::Rest => {}
            Chore::Give(part) => {
                let next = self.node(part);
                let give = format!("evms container modify data --owner {}", NAMES[next]);
                self.until_done(self.holder, "evms deactivate data")?;
                self.until_done(self.holder, &give)?;
                self.until_done(next, "evms activate data")?;
                self.holder = next;
            }
            Chore::DownAndUp => {
                self.until_done(self.holder, "evms deactivate data")?;
                self.until_done(self.holder, "evms activate data")?;
            }
            Chore::Make(part) => {
                self.ask(self.node(part))?;
                self.end_what_was_asked()?;
            }
            Chore::Remove(part) => {
                (0..NODES).try_for_each(|node| self.until_done(node, "evms deactivate pool"))?;
                for name in std::mem::take(&mut self.volumes) {
                    let gone = format!("! evms list volumes | grep -q 'pool/{name} '");
                    self.until_done(self.node(part), &format!("evms volume delete pool/{name} || {gone}"))?;
                }
                (0..NODES).try_for_each(|node| self.until_done(node, "evms activate pool"))?;
            }
        }
        Ok(())
    }

    fn until_done(&mut self, node: usize, command: &str) -> Result<(), Trouble> {
        until_done(self.machines[node].guest()?, command)
    }
}
