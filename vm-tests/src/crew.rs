//! Machines of a cluster that come to harm and come back: each with its evmsd, which is started again as a service manager would, and
//! with what its own disk would keep of it over a boot.

use std::path::PathBuf;

use crate::cluster;
use crate::disk::Disk;
use crate::guest::Guest;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::network::Network;
use crate::scene::Scene;
use crate::script::Fault;
use crate::task::{Task, wait_until};
use crate::trouble::Trouble;

/// The watchdog bites after five seconds, by a clock that a guest under emulation is late with.
const BITE: Limit = Limit::seconds("the watchdog bites", 60);
/// What outlives a boot.
const KEPT: &str = "etc/evms.conf etc/evms var/lib/evms";
const ARCHIVE: &str = "/tmp/kept.tar";
/// The process that keeps the gates.
const KEEPER: &str =
    "for p in $(pidof evmsd); do tr '\\0' ' ' </proc/$p/cmdline | grep -q keeper && echo $p; done; true";
/// Is one of its gates open, as the kernel has it?
const OPEN: &str = "for d in /sys/block/dm-*/dm; do case $(cat $d/name) in evms:gate:*) cat $d/suspended;; esac; done 2>/dev/null | grep -q 0";

/// What all of them are made of.
pub struct Yard<'a> {
    /// Where they play.
    pub scene: &'a Scene,
    /// What machines they are.
    pub kind: Kind,
    /// What they boot.
    pub image: PathBuf,
    /// On which they hear each other.
    pub lan: Network,
    /// What they share.
    pub disks: Vec<Disk>,
}

/// A machine that has its name for good.
pub struct Machine {
    name: String,
    /// None while it is without power.
    guest: Option<Guest>,
    evmsd: Option<Task>,
    kept: Vec<u8>,
    /// It does not answer: it stands still, or it is about to go off.
    is_away: bool,
    /// Its evmsd stands still, or is dead.
    is_leaderless: bool,
    /// The watchdog has something to bite for.
    is_bitten: bool,
    starts: u32,
}

impl Yard<'_> {
    fn power_on(&self, name: &str) -> Result<Guest, Trouble> {
        let plan = self.scene.guest(name)?.kind(self.kind).image(&self.image).nic(&self.lan);
        plan.disks(&self.disks).power_on()
    }

    /// A cluster of machines with these names.
    pub fn found<const COUNT: usize>(&self, names: [&str; COUNT]) -> Result<[Machine; COUNT], Trouble> {
        let mut guests = Vec::new();
        for name in names {
            guests.push(self.power_on(name)?);
        }
        let daemons = cluster::found(&mut guests.iter_mut().collect::<Vec<_>>(), &self.lan, "")?;
        let mut machines = Vec::new();
        for ((name, mut guest), evmsd) in names.into_iter().zip(guests).zip(daemons) {
            wait_until(&mut guest, &format!("evms status --json | grep -q '\"all\":{COUNT}'"))?;
            let kept = kept(&mut guest)?;
            machines.push(Machine {
                name: name.into(),
                guest: Some(guest),
                evmsd: Some(evmsd),
                kept,
                is_away: false,
                is_leaderless: false,
                is_bitten: false,
                starts: 0,
            });
        }
        machines.try_into().map_err(|_| Trouble::Unexpected("they are not as many as their names".into()))
    }

    /// Those of them that are without power get it at one moment, and their evmsd when all of them are there.
    pub fn boot_at_once(&self, machines: &mut [Machine]) -> Result<(), Trouble> {
        let mut off = machines.iter_mut().filter(|machine| machine.guest.is_none()).collect::<Vec<_>>();
        for machine in &mut off {
            machine.guest = Some(self.power_on(&machine.name)?);
        }
        for machine in &mut off {
            (machine.is_away, machine.is_bitten) = (false, false);
            machine.come_to()?;
        }
        off.into_iter().try_for_each(Machine::start_evmsd)
    }
}

/// What the machine's own disk keeps.
fn kept(guest: &mut Guest) -> Result<Vec<u8>, Trouble> {
    guest.ok(&format!("cd / && tar cf {ARCHIVE} {KEPT}"))?;
    guest.pull(ARCHIVE)
}

impl Machine {
    /// Its name, and its node's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine while it answers.
    pub fn guest(&mut self) -> Result<&mut Guest, Trouble> {
        let is_away = self.is_away;
        let guest = self.guest.as_mut().filter(|_| !is_away);
        guest.ok_or_else(|| Trouble::Unexpected(format!("{} does not answer now", self.name)))
    }

    /// Does it answer?
    pub fn answers(&self) -> bool {
        self.guest.is_some() && !self.is_away
    }

    /// And its evmsd too?
    pub fn is_well(&self) -> bool {
        self.answers() && !self.is_leaderless
    }

    /// What its disk keeps from now on over a boot; until this is said, that is what it kept when the cluster was founded.
    pub fn keep(&mut self) -> Result<(), Trouble> {
        self.kept = kept(self.guest()?)?;
        Ok(())
    }

    /// The process of its evmsd.
    pub fn evmsd(&self) -> Option<u32> {
        self.evmsd.as_ref().map(Task::pid)
    }

    /// Comes to this harm.
    pub fn suffer(&mut self, fault: &Fault) -> Result<(), Trouble> {
        match fault {
            Fault::Killed(_) => self.kill_evmsd(),
            Fault::Stopped(_) => self.signal_evmsd(false),
            Fault::Paused(_) => self.pause(),
            Fault::Off(_) => self.cut_power(),
            Fault::Bitten(_) => self.kill_both(),
            _ => Ok(()),
        }
    }

    /// It is over. Whether it took a boot.
    pub fn recover(&mut self, fault: &Fault, yard: &Yard) -> Result<bool, Trouble> {
        match fault {
            Fault::Killed(_) => self.start_evmsd()?,
            Fault::Stopped(_) => self.signal_evmsd(true)?,
            Fault::Paused(_) => return self.resume(yard),
            Fault::Off(_) | Fault::Bitten(_) => {
                self.boot(yard)?;
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// Kills its evmsd alone.
    pub fn kill_evmsd(&mut self) -> Result<(), Trouble> {
        self.is_leaderless = true;
        match self.evmsd.take() {
            Some(evmsd) => evmsd.kill(self.guest()?),
            None => Ok(()),
        }
    }

    /// Starts its evmsd.
    pub fn start_evmsd(&mut self) -> Result<(), Trouble> {
        self.starts += 1;
        // The end of the one before is written down behind the start of the next: by a name of its own.
        let name = format!("evmsd-{}", self.starts);
        self.evmsd = Some(Task::start(self.guest()?, &name, "evmsd")?);
        self.is_leaderless = false;
        Ok(())
    }

    /// Starts it if it ended by itself; whether it had.
    pub fn revive_evmsd(&mut self) -> Result<bool, Trouble> {
        let Some(pid) = self.evmsd.as_ref().map(Task::pid) else {
            self.start_evmsd()?;
            return Ok(true);
        };
        let is_dead = self.guest()?.run(&format!("kill -0 {pid} 2>/dev/null"))?.code != 0;
        if is_dead {
            self.start_evmsd()?;
        }
        Ok(is_dead)
    }

    /// Lets its evmsd stand still, or go on.
    fn signal_evmsd(&mut self, goes_on: bool) -> Result<(), Trouble> {
        let Some(pid) = self.evmsd.as_ref().map(Task::pid) else { return Ok(()) };
        self.guest()?.ok(&format!("kill -{} {pid}", if goes_on { "CONT" } else { "STOP" }))?;
        self.is_leaderless = !goes_on;
        Ok(())
    }

    /// Lets all of it stand still.
    fn pause(&mut self) -> Result<(), Trouble> {
        self.guest()?.pause()?;
        self.is_away = true;
        Ok(())
    }

    /// And go on. Where its clock ran on meanwhile its watchdog bites in its first moment, if it stood too long.
    fn resume(&mut self, yard: &Yard) -> Result<bool, Trouble> {
        self.is_away = false;
        let guest = self.guest()?;
        guest.resume()?;
        if yard.kind == Kind::Emulated || !matches!(guest.run("true"), Err(Trouble::Off { .. })) {
            return Ok(false);
        }
        self.is_bitten = true;
        self.boot(yard)?;
        Ok(true)
    }

    /// Pulls its cord.
    pub fn cut_power(&mut self) -> Result<(), Trouble> {
        self.evmsd = None;
        match self.guest.take() {
            Some(guest) => guest.cut_power(),
            None => Ok(()),
        }
    }

    /// Kills evmsd and its keeper: nobody feeds the watchdog from now on.
    fn kill_both(&mut self) -> Result<(), Trouble> {
        let pid = self.evmsd.take().map(|evmsd| evmsd.pid().to_string()).unwrap_or_default();
        let guest = self.guest()?;
        let is_bitten = guest.run(OPEN)?.code == 0;
        let keeper = guest.ok(KEEPER)?;
        // In this order: one that lives would start another keeper.
        guest.ok(&format!("kill -9 {pid} {}", keeper.trim()))?;
        (self.is_away, self.is_leaderless, self.is_bitten) = (true, true, is_bitten);
        Ok(())
    }

    /// It boots, off by whatever it was; and has its evmsd.
    fn boot(&mut self, yard: &Yard) -> Result<(), Trouble> {
        if let Some(mut guest) = self.guest.take() {
            // With no gate open nobody needs it to be off, and it has no evmsd.
            if self.is_bitten {
                guest.wait_for_off(BITE)?;
            } else {
                guest.cut_power()?;
            }
        }
        (self.is_away, self.is_bitten) = (false, false);
        self.guest = Some(yard.power_on(&self.name)?);
        self.come_to()?;
        self.start_evmsd()
    }

    /// Its shell is there, and what its disk keeps.
    fn come_to(&mut self) -> Result<(), Trouble> {
        let guest =
            self.guest.as_mut().ok_or_else(|| Trouble::Unexpected(format!("{} is off", self.name)))?;
        guest.wait_for_boot()?;
        guest.push(ARCHIVE, &self.kept)?;
        guest.ok(&format!("cd / && tar xf {ARCHIVE}")).map(drop)
    }
}
