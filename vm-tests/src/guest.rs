//! A guest: a machine with its disks, its shell, its power cord.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::console::{self, Console, Output};
use crate::control::Control;
use crate::cord::Cord;
use crate::disk::Disk;
use crate::events::Events;
use crate::limits::{self, Limit};
use crate::plan::Plan;
use crate::stream::Stream;
use crate::trouble::Trouble;

/// A machine that was turned on.
#[derive(Debug)]
pub struct Guest {
    cord: Cord,
    console: Console,
    kernel: Stream,
    /// None where the machine is a process of this one: it is spoken to by signals.
    control: Option<Control>,
    events: Events,
    name: String,
    number: u8,
    begin: Instant,
    boot_time: Duration,
}

impl Guest {
    /// Takes the lines of a machine that was just turned on: console, and the kernel's.
    pub(crate) fn on(
        cord: Cord,
        control: Option<Control>,
        lines: [UnixStream; 2],
        plan: &Plan,
        begin: Instant,
    ) -> Result<Self, Trouble> {
        let [console, kernel] = lines;
        let piece_bytes_max =
            if control.is_some() { console::PIECE_BYTES } else { console::PIECE_BYTES_USER_MODE };
        let log = |kind: &str| plan.folder.join(format!("{}.{kind}.log", plan.name));
        Ok(Self {
            cord,
            console: Console::on(console, &log("console"), piece_bytes_max)?,
            kernel: Stream::listen(kernel, &log("kernel"))?,
            control,
            events: plan.events.clone(),
            name: plan.name.clone(),
            number: plan.number,
            begin,
            boot_time: Duration::ZERO,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the scene, from 1: the last byte of its addresses.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// From power on until its shell was there.
    pub fn boot_time(&self) -> Duration {
        self.boot_time
    }

    /// Where the kernel's messages are kept.
    pub fn kernel_log(&self) -> &Path {
        self.kernel.log()
    }

    /// Waits for the shell, after [`Plan::power_on`].
    pub fn wait_for_boot(&mut self) -> Result<(), Trouble> {
        self.wait_for_boot_within(limits::BOOT)
    }

    /// The same for a machine that has more to find than is usual.
    pub fn wait_for_boot_within(&mut self, limit: Limit) -> Result<(), Trouble> {
        self.console.wait_for_boot(limit)?;
        self.boot_time = self.begin.elapsed();
        self.events.say(&self.name, "shell is there");
        Ok(())
    }

    /// Runs a command and answers what it did.
    pub fn run(&mut self, command: &str) -> Result<Output, Trouble> {
        self.run_within(command, limits::COMMAND)
    }

    /// Runs a command that has a limit of its own.
    pub fn run_within(&mut self, command: &str, limit: Limit) -> Result<Output, Trouble> {
        self.console.run(command, limit)
    }

    /// Runs a command that has to succeed and answers its text.
    pub fn ok(&mut self, command: &str) -> Result<String, Trouble> {
        let output = self.run(command)?;
        match output.code {
            0 => Ok(output.text()),
            code => Err(Trouble::Code { command: command.into(), code, output: output.text() }),
        }
    }

    /// Writes a file in the guest, whatever its bytes.
    pub fn push(&mut self, path: &str, bytes: &[u8]) -> Result<(), Trouble> {
        self.ok(&format!(": >'{path}'"))?;
        self.console.append(path, bytes)
    }

    /// Reads a file of the guest.
    pub fn pull(&mut self, path: &str) -> Result<Vec<u8>, Trouble> {
        let command = format!("cat '{path}'");
        let output = self.run(&command)?;
        match output.code {
            0 => Ok(output.bytes),
            code => Err(Trouble::Code { command, code, output: output.text() }),
        }
    }

    /// Waits until the kernel says something, and consumes its messages up to it.
    pub fn wait_for_kernel(&self, text: &str, limit: Limit) -> Result<String, Trouble> {
        let before = self.kernel.wait_for(text.as_bytes(), limit)?;
        Ok(String::from_utf8_lossy(&before).into_owned())
    }

    /// The disk's node in this guest. Names depend on who was found first, serial numbers do not.
    pub fn device(&mut self, disk: &Disk) -> Result<String, Trouble> {
        let serials = self.ok("for at in /sys/block/[vs]d* /sys/block/ubd*; do
               name=${at##*/}
               if [ -e $at/serial ]; then read -r serial <$at/serial
               elif [ -e $at/device/vpd_pg80 ]; then serial=$(tail -c +5 $at/device/vpd_pg80)
               else continue; fi
               echo $name $serial
             done")?;
        let mut rows = serials.lines().filter_map(|line| line.split_once(' '));
        let found = rows.find(|(_, serial)| *serial == disk.serial());
        let unseen = || Trouble::Unexpected(format!("no disk {} among:\n{serials}", disk.serial()));
        found.map(|(name, _)| format!("/dev/{name}")).ok_or_else(unseen)
    }

    /// Stops all it does. Its disks stand still but for what is under way, its peers hear nothing. The clock of a whole machine
    /// stops along, that of a user-mode one runs on.
    pub fn pause(&mut self) -> Result<(), Trouble> {
        match &mut self.control {
            Some(control) => control.ask("stop", "{}").map(drop)?,
            None => self.cord.signal("STOP")?,
        }
        self.events.say(&self.name, "paused");
        Ok(())
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result<(), Trouble> {
        self.events.say(&self.name, "resumed");
        match &mut self.control {
            Some(control) => control.ask("cont", "{}").map(drop),
            None => self.cord.signal("CONT"),
        }
    }

    /// Asks the emulator itself; `arguments` is a JSON object and the answer a JSON line.
    pub fn control(&mut self, what: &str, arguments: &str) -> Result<String, Trouble> {
        let none = || Trouble::Unexpected(format!("{} has no control", self.name));
        self.control.as_mut().ok_or_else(none)?.ask(what, arguments)
    }

    /// Pulls the cord: what no flush has brought to the disks is gone with the machine.
    pub fn cut_power(mut self) -> Result<(), Trouble> {
        self.cord.pull()?;
        self.events.say(&self.name, "power cut");
        Ok(())
    }

    /// Sends a command and pulls the cord once `moment` is back. The command's exit code, if that came out of the machine
    /// before; and the kernel's line is in its log to the last word.
    pub fn run_into_cut(mut self, command: &str, moment: impl FnOnce()) -> Result<Option<i32>, Trouble> {
        self.console.send_unawaited(command)?;
        moment();
        self.cord.pull()?;
        self.events.say(&self.name, "power cut");
        self.kernel.wait_for_end("the end of the kernel's line", limits::POWER_OFF)?;
        self.console.last_code()
    }

    /// Turns it off in good order, file systems synced.
    pub fn power_off(mut self) -> Result<(), Trouble> {
        self.console.send_last("sync; poweroff -f")?;
        self.wait_for_off(limits::POWER_OFF)
    }

    /// Waits until it is off by itself, after a panic or when a watchdog bit.
    pub fn wait_for_off(&mut self, limit: Limit) -> Result<(), Trouble> {
        self.console.wait_for_end(&format!("{} turning off", self.name), limit)?;
        self.events.say(&self.name, "power off");
        self.cord.collect()
    }
}
