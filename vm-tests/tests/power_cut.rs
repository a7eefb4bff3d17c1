//! The cord is pulled at random moments of a machine at work: changes of the container one after another, files synced
//! onto a mounted volume meanwhile. What was acknowledged is known here, outside. After every cut the machine boots
//! again on the same disks: the model is the last that was acknowledged or the one under way, every synced file is
//! whole, and the work goes on. The disks have caches that forget what was not flushed.
//!
//! `EVMS_VM_LONG=1`: 50 cuts instead of a few. `EVMS_VM_SEED`: the seed of an earlier run. What was cut so far, and
//! what it brought to light: `../LEDGER.md`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vm_tests::dice::Dice;
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::images::model;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;
use vm_tests::volatile::{Pulse, Volatile};
use vm_tests::work::{Change, Model};

const SIZE_MIB: u64 = 48;
const NODE: &str = "11111111-2222-4333-8444-555555555555";
const CUTS: usize = 4;
const CUTS_LONG: usize = 50;
const LONG_VARIABLE: &str = "EVMS_VM_LONG";
/// So many changes are acknowledged at most before a cut.
const CHANGES_MAX: usize = 4;
/// So many files are kept, and so many of the oldest of them may be gone: their removal is not told.
const KEPT: u64 = 24;
const KEPT_SLACK: u64 = 10;
const WRITER: &[u8] = include_bytes!("../guest/writer");
const PATTERN: &str = "yes a raw volume of evms | head -c 4194304";
/// At first a change is taken to be so many writes and flushes.
const USUAL: u64 = 40;
/// The cord is pulled after so long when fewer of them come.
const QUIET: Duration = Duration::from_secs(3);

/// The machine between two cuts: what is known of it from outside.
struct Bench<'a> {
    scene: &'a Scene,
    image: PathBuf,
    disks: Vec<Disk>,
    dice: Dice,
    /// What was acknowledged.
    model: Model,
    pulse: Pulse,
    /// How many writes and flushes a change of each kind was when it was last made.
    usual: BTreeMap<&'static str, u64>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    acknowledged: usize,
    files: usize,
    /// Cuts before the change under way was acknowledged, and how it was found.
    inside_old: usize,
    inside_new: usize,
}

impl Bench<'_> {
    fn boot(&self) -> Result<Guest, Trouble> {
        let mut guest = self.scene.guest("cut")?.image(&self.image).disks(&self.disks).start()?;
        guest.ok(&format!("mkdir -p /etc/evms; echo {NODE} >/etc/evms/node; {PATTERN} >/tmp/pattern"))?;
        Ok(guest)
    }

    /// The first boot: a container, a volume with a file system, one with a pattern.
    fn found(&self) -> Result<(), Trouble> {
        let mut guest = self.boot()?;
        let nodes = self.disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()?;
        for line in [
            &format!("evms container create data --private --extent 1M {}", nodes[..3].join(" ")),
            "evms volume create data/files --size 16M",
            "evms volume create data/raw --size 4M",
            "evms activate data",
            "mkfs.ext4 -q /dev/evms/data/files",
            "dd if=/tmp/pattern of=/dev/evms/data/raw bs=64k conv=fsync 2>&1",
            "evms deactivate data",
        ] {
            guest.ok(line)?;
        }
        guest.power_off()
    }

    /// Looks at the machine after a cut, with the change that was under way: everything that was acknowledged is there.
    fn reopen(&mut self, under_way: Option<&Change>) -> Result<Guest, Trouble> {
        let mut guest = self.boot()?;
        let seen = self.shown(&mut guest, under_way)?;
        let is_well = sound(&mut guest)?;
        guest.ok("evms activate data/files data/raw")?;
        let settled = self.shown(&mut guest, under_way)?;
        if seen != self.model && settled != seen {
            return Err(Trouble::Unexpected(format!("{seen:?} was shown before, and then {settled:?}")));
        }
        if under_way.is_some() {
            let is_old = settled == self.model;
            *(if is_old { &mut self.counts.inside_old } else { &mut self.counts.inside_new }) += 1;
        }
        self.model = settled;
        guest.ok("head -c 4194304 /dev/evms/data/raw | cmp - /tmp/pattern")?;
        guest.ok("mount -t ext4 /dev/evms/data/files /mnt")?;
        self.check_files(&mut guest)?;
        if !is_well {
            guest.ok("evms check --repair")?;
            well(&mut guest)?;
        }
        Ok(guest)
    }

    /// The model that the machine shows: the acknowledged one, or that with the change under way.
    fn shown(&self, guest: &mut Guest, under_way: Option<&Change>) -> Result<Model, Trouble> {
        let rows = model(&guest.ok("evms list")?);
        let mut lawful = vec![self.model.clone()];
        lawful.extend(under_way.map(|change| self.model.with(change)));
        let found = lawful.iter().find(|model| model.rows() == Model::comparable(&rows)).cloned();
        let neither = || format!("{rows:?} is shown and not one of {lawful:?}, with {under_way:?} under way");
        found.ok_or_else(|| Trouble::Unexpected(neither()))
    }

    /// Every file that was told to be synced is there with its checksum.
    fn check_files(&mut self, guest: &mut Guest) -> Result<(), Trouble> {
        let synced = synced(guest.kernel_log())?;
        let Some(last) = synced.keys().last() else { return Ok(()) };
        let kept = synced.range((last + KEPT_SLACK).saturating_sub(KEPT)..);
        let lines: Vec<String> = kept.map(|(number, sum)| format!("{sum}  /mnt/file-{number}\n")).collect();
        self.counts.files += lines.len();
        guest.push("/tmp/sums", lines.concat().as_bytes())?;
        guest.ok("md5sum -c /tmp/sums").map(drop)
    }

    /// Works for a while, then pulls the cord. Answers the change that was under way, unless it was acknowledged.
    fn work(&mut self, mut guest: Guest) -> Result<Option<Change>, Trouble> {
        let first = synced(guest.kernel_log())?.keys().last().map_or(KEPT, |last| last + 1);
        guest.ok(&format!("writer {first} {KEPT} >/dev/null 2>&1 &"))?;
        let joining = guest.device(&self.disks[3])?;
        for _ in 0..self.dice.below(CHANGES_MAX) {
            let change = self.model.draw(&mut self.dice);
            let begin = self.pulse.count();
            guest.ok(&change.line(&joining))?;
            self.usual.insert(change.kind(), self.pulse.count() - begin);
            self.acknowledge(&change);
        }
        let change = self.model.draw(&mut self.dice);
        // What files sync is flushed along with them: in every other cut nothing helps the change to become durable.
        if self.dice.below(2) == 0 {
            guest.ok("touch /tmp/pause")?;
        }
        // One cut in four comes when the change is acknowledged and nothing more is written.
        let usual = self.usual.get(change.kind()).copied().unwrap_or(USUAL).max(3);
        let usual = usual + usual / 3;
        let moment = self.pulse.count() + 1 + self.dice.below(usual as usize) as u64;
        let pulse = self.pulse.clone();
        match guest.run_into_cut(&change.line(&joining), || pulse.wait_for(moment, QUIET))? {
            None => Ok(Some(change)),
            Some(0) => {
                self.acknowledge(&change);
                Ok(None)
            }
            Some(code) => Err(Trouble::Unexpected(format!("{change:?} ended with {code}"))),
        }
    }

    fn acknowledge(&mut self, change: &Change) {
        self.model = self.model.with(change);
        self.counts.acknowledged += 1;
    }
}

/// Files that were told to be synced, with their checksums. A line that the cut garbled tells nothing.
fn synced(log: &Path) -> Result<BTreeMap<u64, String>, Trouble> {
    let log = fs::read(log).map_err(Trouble::file("reading", log))?;
    let log = String::from_utf8_lossy(&log).into_owned();
    let told = log.lines().filter_map(|line| {
        let (number, sum) = line.trim().strip_prefix("synced ")?.split_once(' ')?;
        let is_sum = sum.len() == 32 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some((number.parse().ok().filter(|_| is_sum)?, sum.to_string()))
    });
    Ok(told.collect())
}

/// Right after a cut `check` finds nothing that cannot be mended. Answers whether it finds nothing at all.
fn sound(guest: &mut Guest) -> Result<bool, Trouble> {
    let said = guest.run("evms check")?;
    let text = said.text();
    let is_lost = |line: &&str| line.starts_with("damage:") && !line.contains("can be mended");
    match said.code {
        0 | 5 if text.lines().find(is_lost).is_none() => Ok(text.contains("all is well")),
        code => Err(Trouble::Code { command: "evms check".into(), code, output: text }),
    }
}

/// Once mended all is well; a disk that was on its way in or out may be told.
fn well(guest: &mut Guest) -> Result<(), Trouble> {
    let text = guest.ok("evms check")?;
    let is_told = |line: &str| line.contains("labelled and no member") || line.contains(" checked: ");
    match text.lines().all(is_told) {
        true => Ok(()),
        false => Err(Trouble::Unexpected(format!("check: {text}"))),
    }
}

/// Proves that a machine which works on its volumes may lose its power at any moment: nothing acknowledged is lost,
/// nothing is half done.
#[test]
fn nothing_acknowledged_is_lost_when_the_cord_is_pulled() {
    scene::play("power-cut", |scene| {
        let image =
            Image::usual(scene.parts())?.program("/usr/sbin/mkfs.ext4")?.program("/usr/sbin/e2fsck")?;
        let image = scene.image("tools", image.file("bin/writer", 0o755, WRITER))?;
        let seed = Dice::seed();
        let cuts = if env::var_os(LONG_VARIABLE).is_some() { CUTS_LONG } else { CUTS };
        eprintln!("  seed {seed} (EVMS_VM_SEED), {cuts} cuts");
        let pulse = Pulse::default();
        let disk = |name, number| Volatile::over(&scene.disk(name, SIZE_MIB)?, seed, number, &pulse);
        let disks = ["a", "b", "c", "d"].into_iter().zip(0..).map(|(name, number)| disk(name, number));
        let (disks, caches): (Vec<_>, Vec<_>) =
            disks.collect::<Result<Vec<_>, Trouble>>()?.into_iter().unzip();
        let (dice, model) = (Dice::new(seed), Model::default());
        let counts = Counts::default();
        let mut bench = Bench { scene, image, disks, dice, model, pulse, usual: BTreeMap::new(), counts };
        bench.found()?;
        let mut under_way = None;
        for cut in 1..=cuts {
            let guest = bench.reopen(under_way.as_ref())?;
            under_way = bench.work(guest)?;
            eprintln!("  cut {cut}: inside {under_way:?}; {} changes so far", bench.counts.acknowledged);
        }
        let mut guest = bench.reopen(under_way.as_ref())?;
        guest.ok("umount /mnt; e2fsck -fn /dev/evms/data/files 2>&1")?;
        guest.power_off()?;
        eprintln!("  seed {seed}, {cuts} cuts: {:?}", bench.counts);
        caches.iter().for_each(|cache| eprintln!("  {:?}", cache.losses()));
        Ok(())
    });
}
