//! User-mode machines are machines: what a test does to whole ones it can do to them, and nothing of them is left when they are off.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::limits::Limit;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 8;
/// More than a serial line of theirs takes at once.
const FILE_BYTES: usize = 20_000;
const PAUSE: Duration = Duration::from_secs(3);
/// The watchdog has five seconds, and is fed each second: a machine that waits for its processor is not bitten for that.
const BITE: Limit = Limit::seconds("the watchdog bites", 30);

fn image(scene: &Scene) -> Result<std::path::PathBuf, Trouble> {
    scene.image("user-mode", Image::of(scene.parts(), Kind::UserMode)?)
}

/// How many processes of this machine have a word of theirs from this scene.
fn processes(folder: &Path, name: &str) -> usize {
    let (folder, name) = (folder.display().to_string(), format!("umid={name}\0"));
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let words = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    words.filter(|words| words.contains(&folder) && words.contains(&name)).count()
}

#[test]
fn they_share_disks_hear_each_other_and_are_off_at_once() {
    scene::play("user-mode", |scene| {
        let (image, lan, disk) = (image(scene)?, scene.network("lan1"), scene.disk("a", SIZE_MIB)?);
        let plan =
            |name: &str| Ok(scene.guest(name)?.kind(Kind::UserMode).image(&image).nic(&lan).disk(&disk));
        let mut one = plan("one")?.power_on()?;
        let mut two = plan("two")?.start()?;
        one.wait_for_boot()?;

        let device = one.device(&disk)?;
        let file: Vec<u8> = (0..FILE_BYTES).map(|at| (at % 251) as u8).collect();
        one.push("/tmp/file", &file)?;
        assert_eq!(one.pull("/tmp/file")?, file);
        one.ok(&format!("dd if=/tmp/file of={device} conv=fsync,notrunc 2>&1"))?;
        let read = format!(
            "dd if={device} bs=4096 count=5 iflag=direct 2>/dev/null | head -c {FILE_BYTES} >/tmp/file"
        );
        two.ok(&read)?;
        assert_eq!(two.pull("/tmp/file")?, file);
        two.ok("echo here >/run/events")?;
        scene.events().wait_for("two", "here", Limit::seconds("an event", 10))?;

        let ping = format!("ping -c 1 -W 2 {}", lan.address(two.number()));
        one.ok(&ping)?;
        lan.cut_one_way("two", "one");
        assert_ne!(one.run(&ping)?.code, 0);
        assert!(lan.counts("two", "one").cut > 0 && lan.counts("one", "two").cut == 0);
        lan.heal();
        one.ok(&ping)?;

        let uptime = "cut -d. -f1 /proc/uptime";
        let before: u64 = one.ok(uptime)?.trim().parse().unwrap_or_default();
        one.pause()?;
        thread::sleep(PAUSE);
        one.resume()?;
        let after: u64 = one.ok(uptime)?.trim().parse().unwrap_or_default();
        assert!(
            after >= before + PAUSE.as_secs(),
            "its clocks run on while it stands still: {before} s, {after} s"
        );

        two.ok("while :; do :; done >/dev/null 2>&1 & sleep 1000 >/dev/null 2>&1 &")?;
        assert!(processes(scene.folder(), "two") > 2);
        two.cut_power()?;
        assert_eq!(processes(scene.folder(), "two"), 0, "of who was turned off");
        let mut two = plan("two")?.start()?;
        two.ok(&read)?;
        one.ok(&ping)?;
        one.power_off()
    });
}

#[test]
fn a_watchdog_that_is_not_fed_ends_all_of_it() {
    scene::play("user-mode-watchdog", |scene| {
        let mut guest = scene.guest("one")?.kind(Kind::UserMode).image(&image(scene)?).start()?;
        guest.ok("watchdog -T 5 -t 1 /dev/watchdog && sleep 7")?;
        guest.ok("kill -9 $(pidof watchdog)")?;
        guest.wait_for_off(BITE)?;
        assert_eq!(processes(scene.folder(), "one"), 0);
        Ok(())
    });
}
