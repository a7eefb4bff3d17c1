//! A command that goes on beside the shell: something that hangs on purpose, or works while something else happens.
//! It is known by its process, so that it can be seen waiting in the kernel, and killed.

use crate::console::Output;
use crate::guest::Guest;
use crate::trouble::Trouble;

/// Looks at a condition before it is given up, and milliseconds between two: half a minute of the guest's clock.
const LOOKS_MAX: u32 = 1500;
const LOOK_MS: u32 = 20;

/// Waits in the guest until a condition holds.
pub fn wait_until(guest: &mut Guest, condition: &str) -> Result<(), Trouble> {
    let pause = LOOK_MS * 1000;
    let code = guest.run(&format!(
        "n=0; until {condition}; do usleep {pause}; n=$((n + 1)); [ $n -lt {LOOKS_MAX} ] || exit 1; done"
    ))?;
    match code.code {
        0 => Ok(()),
        _ => Err(Trouble::Unexpected(format!("it never came to this: {condition}; {}", code.text()))),
    }
}

/// Says a command again until it succeeds. When it never does, what it said last is told.
pub fn until_done(guest: &mut Guest, command: &str) -> Result<(), Trouble> {
    let Err(trouble) = wait_until(guest, &format!("{{ {command}; }} >/tmp/until-done 2>&1")) else {
        return Ok(());
    };
    let said = guest.run("cat /tmp/until-done")?.text();
    Err(Trouble::Unexpected(format!("{trouble}; it said: {said}")))
}

/// A command that was started and not waited for.
#[derive(Debug)]
pub struct Task {
    name: String,
    pid: u32,
}

impl Task {
    /// Starts one command, by a name that no other task of this guest has at the time.
    pub fn start(guest: &mut Guest, name: &str, command: &str) -> Result<Self, Trouble> {
        let at = format!("/tmp/task-{name}");
        guest.push(&format!("{at}.sh"), format!("echo $$ >{at}.pid\nexec {command}\n").as_bytes())?;
        guest.ok(&format!(
            "rm -f {at}.pid {at}.code
             {{ sh {at}.sh >{at}.said 2>&1; echo $? >{at}.new; mv {at}.new {at}.code; }} >/dev/null 2>&1 &"
        ))?;
        wait_until(guest, &format!("[ -s {at}.pid ]"))?;
        let pid = guest.ok(&format!("cat {at}.pid"))?;
        let pid = pid.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{pid}' is no process")))?;
        Ok(Self { name: name.into(), pid })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended.
    pub fn is_over(&self, guest: &mut Guest) -> Result<bool, Trouble> {
        Ok(guest.run(&format!("test -e /tmp/task-{}.code", self.name))?.code == 0)
    }

    /// Waits until it sleeps in a function of the kernel whose name has this in it.
    pub fn wait_until_in(&self, guest: &mut Guest, function: &str) -> Result<(), Trouble> {
        wait_until(guest, &format!("grep -qs '{function}' /proc/{}/wchan", self.pid))
    }

    /// Kills it in a way that it cannot refuse.
    pub fn kill(&self, guest: &mut Guest) -> Result<(), Trouble> {
        guest.ok(&format!("kill -9 {}", self.pid)).map(drop)
    }

    /// Waits for its end; what it did.
    pub fn end(self, guest: &mut Guest) -> Result<Output, Trouble> {
        let at = format!("/tmp/task-{}", self.name);
        wait_until(guest, &format!("[ -e {at}.code ]"))?;
        let code = guest.ok(&format!("cat {at}.code"))?;
        let code =
            code.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{code}' is no exit code")))?;
        Ok(Output { code, bytes: guest.pull(&format!("{at}.said"))? })
    }
}
