//! udev in a guest: the daemon, its rules and those of device-mapper, all as `parts.sh` fetched them.

use crate::guest::Guest;
use crate::image::Image;
use crate::parts::Parts;
use crate::task::{Task, wait_until};
use crate::trouble::Trouble;

const RULES: &str = "lib/udev/rules.d";
/// One program by two names.
const ADMIN: &str = "bin/udevadm";
const DAEMON: &str = "lib/systemd/systemd-udevd";
/// What a rule calls to ask a SCSI disk for its name.
const SCSI_ID: &str = "lib/udev/scsi_id";
/// Groups that rules give nodes to: without them the daemon complains of every rule.
const GROUPS: &str = "root:x:0:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\ndialout:x:20:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\n\
    video:x:44:\ninput:x:104:\nsgx:x:105:\nkvm:x:106:\nrender:x:107:\n";

/// An image with udev and `dmsetup`, which the rules call.
pub fn carried_by(image: Image, parts: &Parts) -> Result<Image, Trouble> {
    let image = image.program("/usr/sbin/dmsetup")?.link("sbin/dmsetup", "/bin/dmsetup");
    let image = image.fetched_program(parts, ADMIN)?.link(DAEMON, "/bin/udevadm");
    let image = image.fetched_program(parts, SCSI_ID)?.fetched_folder(parts, RULES)?;
    Ok(image.file("etc/group", 0o644, GROUPS.as_bytes()).file(
        "etc/passwd",
        0o644,
        b"root:x:0:0::/root:/bin/sh\n",
    ))
}

/// Starts the daemon and waits until it knows the devices that were there before it.
pub fn start(guest: &mut Guest) -> Result<(), Trouble> {
    guest.ok(&format!("/{DAEMON} --daemon 2>&1; udevadm trigger --action=add; udevadm settle")).map(drop)
}

/// Waits until the daemon has nothing left to do.
pub fn settle(guest: &mut Guest) -> Result<(), Trouble> {
    guest.ok("udevadm settle").map(drop)
}

/// A count of what the kernel tells the daemon, device by device.
#[derive(Debug)]
pub struct Meter {
    task: Task,
    marker: String,
}

impl Meter {
    /// Counts from now on. The marker is a disk that nobody uses: an event of it shows that those before were counted.
    pub fn start(guest: &mut Guest, marker: &str) -> Result<Self, Trouble> {
        let task = Task::start(guest, "meter", "udevadm monitor --kernel --subsystem-match=block")?;
        let meter = Self { task, marker: marker.trim_start_matches("/dev/").into() };
        wait_until(guest, "grep -q ^KERNEL /tmp/task-meter.said")?;
        Ok(meter)
    }

    /// Kernel names of the devices that the kernel told of until now, one for each time, the marker not among them.
    ///
    /// A node that was open for writing and is closed makes the daemon ask the kernel for an event, and it hears of
    /// nodes in order: when the marker's has come, so have all that were owed before.
    pub fn stop(self, guest: &mut Guest) -> Result<Vec<String>, Trouble> {
        settle(guest)?;
        let (said, marker) = ("/tmp/task-meter.said", &self.marker);
        guest.ok(&format!(": <>/dev/{marker}"))?;
        wait_until(guest, &format!("grep -q '/block/{marker} ' {said}"))?;
        guest.ok(&format!("kill {}", self.task.pid()))?;
        let told = guest.ok(&format!("sed -n 's#^KERNEL.* /.*/block/\\([^ /]*\\).*#\\1#p' {said}"))?;
        Ok(told.lines().filter(|name| *name != self.marker).map(String::from).collect())
    }
}
