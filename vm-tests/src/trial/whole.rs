//! A cluster behind a round: it comes whole, and what was written is what stands.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use super::{HOME, LOOK, NAMES, Trial};
use crate::claims::{self, Findings};
use crate::cluster::QUORATE;
use crate::fabric::Rule;
use crate::limits::Limit;
use crate::script::{Chore, NODES};
use crate::stampers::Part;
use crate::task::{until_done, wait_until};
use crate::trouble::Trouble;

/// All nodes are in one view so soon after all is mended: many times what that takes, for what guests under emulation take for it.
const WHOLE: Limit = Limit::seconds("one view of all nodes", 60);
/// What takes longer is told: who was lost several times in a minute is waited for longer each time, 16 s at most (F7).
const LONG: Duration = Duration::from_secs(20);
/// Of many findings so many are told.
const SHOWN: usize = 8;
/// Tries to find the one node that has the private volume up; another one may just be taking it.
const TRIES_MAX: usize = 60;
const VIEW: &str = "evms status | grep -q '^view .*: n1 n2 n3$'";
/// No gate is anything but open.
const ALL_OPEN: &str = "evms-fence status --json >/tmp/gates && ! grep -qE '\"state\":\"(closed|draining|unknown|refused|gone)\"' /tmp/gates";
/// Nothing is to be mended.
const CHECKED: &str = "evms check data pool && evms check data pool | grep -q 'all is well'";

impl Trial<'_> {
    /// All is mended by now: the cluster is one, the private volume is up on one node, the shared one on all, and no gate is closed.
    pub(super) fn come_whole(&mut self) -> Result<(), Trouble> {
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
            thread::sleep(LOOK);
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
            thread::sleep(LOOK);
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
    pub(super) fn hold_to_the_laws(&mut self) -> Result<(), Trouble> {
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

    pub(super) fn judge(&mut self, place: &str, findings: Findings) -> Result<(), Trouble> {
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
    pub(super) fn see_to(&mut self, chore: Chore) -> Result<(), Trouble> {
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
