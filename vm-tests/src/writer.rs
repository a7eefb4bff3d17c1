//! A writer in a guest that goes on until it is told that it is enough, or a write of it fails: what I/O does while something happens.

use crate::guest::Guest;
use crate::task::{Task, wait_until};
use crate::trouble::Trouble;

/// One block after the other from the block `$3` on, each with who wrote it and its number; ends at the first error.
const SCRIPT: &str = "#!/bin/sh
i=0
while [ ! -e /tmp/enough ]; do
    i=$((i + 1))
    printf '%-4095s\\n' \"$1 $i\" >/tmp/block
    dd if=/tmp/block of=$2 bs=4096 seek=$(($3 + i % 128)) oflag=direct conv=notrunc 2>/tmp/dd || {
        echo \"write $i failed: $(cat /tmp/dd)\"
        exit 1
    }
    echo $i >/tmp/count.new
    mv /tmp/count.new /tmp/count
done
";

/// The one of a guest.
pub struct Writer(Task);

impl Writer {
    /// Starts it, as somebody, on a device, from a block on; it has written something then.
    pub fn start(guest: &mut Guest, name: &str, device: &str, from: u32) -> Result<Writer, Trouble> {
        guest.push("/tmp/writer", SCRIPT.as_bytes())?;
        guest.ok("rm -f /tmp/enough /tmp/count")?;
        let task = Task::start(guest, "writer", &format!("sh /tmp/writer {name} {device} {from}"))?;
        goes_on(guest)?;
        Ok(Writer(task))
    }

    /// Has it ended?
    pub fn is_over(&self, guest: &mut Guest) -> Result<bool, Trouble> {
        self.0.is_over(guest)
    }

    /// It ends, without one error in all its time.
    pub fn enough(self, guest: &mut Guest) -> Result<(), Trouble> {
        guest.ok("touch /tmp/enough")?;
        let said = self.0.end(guest)?;
        assert_eq!((said.code, said.text().as_str()), (0, ""));
        Ok(())
    }

    /// It ends with an error.
    pub fn fails(self, guest: &mut Guest) -> Result<(), Trouble> {
        let said = self.0.end(guest)?;
        assert!(said.code == 1 && said.text().contains("Input/output error"), "{}", said.text());
        Ok(())
    }
}

/// More is written than there was.
pub fn goes_on(guest: &mut Guest) -> Result<(), Trouble> {
    wait_until(guest, "[ -s /tmp/count ]")?;
    let count = guest.ok("cat /tmp/count")?;
    wait_until(guest, &format!("[ $(cat /tmp/count) -gt $(({} + 3)) ]", count.trim()))
}
