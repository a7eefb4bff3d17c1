//! Power is cut at every moment of every kind of change, on four disks at once, without a boot for each: in a guest,
//! `dm-log-writes` under every member disk keeps each write in the order in which it became durable; here the disks are
//! put together again as they were at any moment, and evms looks at them.
//!
//! The law: between two acknowledgements the disks show the model before or the model after, never a mixture and never
//! neither; from the acknowledgement on, the model after. The models are written down in [`STEPS`] by hand.

use std::sync::Arc;
use std::thread;

use vm_tests::content::{Content, History};
use vm_tests::dice::Dice;
use vm_tests::disk::{Disk, Sectors};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::images::{Images, model};
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 16;
const LOG_MIB: u64 = 64;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const SECTORS: [Sectors; 4] = [Sectors::Plain512, Sectors::Emulated512, Sectors::Native4k, Sectors::Plain512];
const ME: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-8888-4777-a666-555555555555";
/// How many threads judge.
const JUDGES: usize = 2;
/// Of more than two disks that differ, so many mixtures of each step are drawn.
const MIXTURES: usize = 60;
/// Of each step's torn writes, so many are drawn.
const TEARS: usize = 60;
/// So many wrong states of a step are told.
const TOLD: usize = 8;
/// One in so many states is also finished: the same command again, then `check`.
const FINISHED: usize = 8;

/// One change: who makes it, what brings it about after a cut, and what the disks show from then on.
struct Step {
    node: &'static str,
    change: &'static str,
    /// What finishes it, where that is not the change itself.
    again: &'static str,
    shows: &'static [&'static str],
}

const CREATE: &str = "container create data --private --owner me --extent 1M --slot 64K a b c";
const CREATE_AGAIN: &str =
    "container create data --private --owner me --extent 1M --slot 64K a b c --wipe evms";

/// A disk of 16 MiB has ends of 4 MiB each, so a container has 8 MiB of each disk.
const STEPS: &[Step] = &[
    Step { node: ME, change: CREATE, again: CREATE_AGAIN, shows: &["data private me 3 0 24 MiB"] },
    Step {
        node: ME,
        change: "volume create data/home --size 3M",
        again: "",
        shows: &["data private me 3 1 24 MiB", "data/home 3 MiB linear 1"],
    },
    Step {
        node: ME,
        change: "volume create data/fast --size 6M --stripes 3",
        again: "",
        shows: &[
            "data private me 3 2 24 MiB",
            "data/home 3 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "container expand data d",
        again: "",
        shows: &[
            "data private me 4 2 32 MiB",
            "data/home 3 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "volume expand data/home --size 5M",
        again: "",
        shows: &[
            "data private me 4 2 32 MiB",
            "data/home 5 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "container shrink data d",
        again: "",
        shows: &[
            "data private me 3 2 24 MiB",
            "data/home 5 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "volume delete data/fast",
        again: "",
        shows: &["data private me 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step {
        node: ME,
        change: "container modify data --owner 99999999-8888-4777-a666-555555555555",
        again: "",
        shows: &["data private other 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step {
        node: OTHER,
        change: "container deport data",
        again: "",
        shows: &["data deported - 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step {
        node: ME,
        change: "container import data",
        again: "",
        shows: &["data private me 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step { node: ME, change: "volume delete data/home", again: "", shows: &["data private me 3 0 24 MiB"] },
    Step { node: ME, change: "container delete data", again: "", shows: &[] },
];

/// The mark of an acknowledged step.
fn mark(step: usize) -> String {
    format!("step-{step}")
}

/// A line for the guest or for images: disks are `a` to `d` in [`STEPS`].
fn with_disks(line: &str, node_of: impl Fn(&str) -> String) -> String {
    let words = line.split(' ').map(|word| if NAMES.contains(&word) { node_of(word) } else { word.into() });
    words.collect::<Vec<String>>().join(" ")
}

/// Puts a `dm-log-writes` device over each disk. A multipath map is the only device-mapper device that evms takes for
/// a disk, so it gets the uuid of one.
fn lay(guest: &mut Guest, disks: &[Disk], logs: &[Disk]) -> Result<(), Trouble> {
    for ((name, disk), log) in NAMES.iter().zip(disks).zip(logs) {
        let (disk, log) = (guest.device(disk)?, guest.device(log)?);
        guest.ok(&format!(
            "dmsetup create {name} -u mpath-{name} --table \"0 $(blockdev --getsz {disk}) log-writes {disk} {log}\""
        ))?;
        guest.ok(&format!("dmsetup message {name} 0 mark begin"))?;
    }
    guest.ok(&format!("mkdir -p /etc/evms; echo {ME} >/etc/evms/me; echo {OTHER} >/etc/evms/other")).map(drop)
}

/// Makes all changes in a guest and answers what each disk went through.
fn record(scene: &Scene) -> Result<Vec<History>, Trouble> {
    let disk =
        |(name, sectors): (&&str, &Sectors)| Ok::<_, Trouble>(scene.disk(name, SIZE_MIB)?.sectors(*sectors));
    let disks = NAMES.iter().zip(&SECTORS).map(disk).collect::<Result<Vec<_>, _>>()?;
    let logs = NAMES.map(|name| scene.disk(&format!("log-{name}"), LOG_MIB));
    let logs = logs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let image = scene.image("tools", Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?)?;
    let mut guest = scene.guest("one")?.image(&image).disks(&disks).disks(&logs).start()?;
    lay(&mut guest, &disks, &logs)?;
    for (number, step) in STEPS.iter().enumerate() {
        let name = if step.node == ME { "me" } else { "other" };
        let line = with_disks(step.change, |name| {
            format!("/dev/dm-$(dmsetup info -c --noheadings -o minor {name})")
        });
        guest.ok(&format!("hostname {name}; evms --node-file /etc/evms/{name} {line}"))?;
        for name in NAMES {
            guest.ok(&format!("dmsetup message {name} 0 mark {}", mark(number)))?;
        }
    }
    guest.ok("for name in a b c d; do dmsetup remove $name || exit; done")?;
    guest.power_off()?;
    let read = |log: &Disk| std::fs::read(log.path()).map_err(Trouble::file("reading", log.path()));
    logs.iter().map(|log| History::read(read(log)?)).collect()
}

/// What a state may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    Old,
    Either,
    New,
}

/// A state of all disks inside a step, and what it may show.
struct State {
    step: usize,
    told: String,
    disks: Vec<Arc<Content>>,
    may: May,
    /// Is the step also said again?
    is_finished: bool,
}

/// All states of a step.
struct Window<'a> {
    step: usize,
    histories: &'a [History],
    /// Of each disk: every point in the step at which something had just become durable.
    cuts: Vec<Vec<usize>>,
    states: Vec<State>,
    dice: Dice,
}

impl<'a> Window<'a> {
    fn of(step: usize, histories: &'a [History], seed: u64) -> Result<Self, Trouble> {
        let before = step.checked_sub(1).map_or("begin".into(), mark);
        let cuts = |history: &History| Ok(history.cuts(history.mark(&before)?, history.mark(&mark(step))?));
        let cuts = histories.iter().map(cuts).collect::<Result<Vec<_>, Trouble>>()?;
        Ok(Self { step, histories, cuts, states: Vec::new(), dice: Dice::new(seed ^ (step as u64) << 32) })
    }

    /// How many cuts the disk with most of them has.
    fn depth(&self) -> usize {
        self.cuts.iter().map(Vec::len).max().unwrap_or_default()
    }

    /// Every disk at its cut of this number, or its last.
    fn abreast(&self, number: usize) -> Vec<usize> {
        self.cuts.iter().map(|cuts| number.min(cuts.len() - 1)).collect()
    }

    fn content(&self, disk: usize, cut: usize) -> Arc<Content> {
        Arc::new(self.histories[disk].content(cut))
    }

    fn put(&mut self, told: String, disks: Vec<Arc<Content>>, may: May, is_crash: bool) {
        let is_finished = is_crash && self.dice.below(FINISHED) == 0;
        self.states.push(State { step: self.step, told, disks, may, is_finished });
    }

    /// Can a crash of evms alone leave this? It waits for all disks before it goes on, so none is far ahead. What is
    /// no crash is a disk that forgot.
    fn is_crash(&self, numbers: &[usize]) -> bool {
        let changed =
            || numbers.iter().zip(&self.cuts).filter(|(_, cuts)| cuts.len() > 2).map(|(number, _)| *number);
        let (least, most) = (changed().min().unwrap_or_default(), changed().max().unwrap_or_default());
        most <= least + 1
    }

    /// The state in which each disk is at its cut of this number.
    fn put_cuts(&mut self, numbers: &[usize]) {
        let is_at = |end: fn(&[usize]) -> usize| {
            numbers.iter().zip(&self.cuts).all(|(number, cuts)| *number == end(cuts))
        };
        let may = match (is_at(|_| 0), is_at(|cuts| cuts.len() - 1)) {
            (true, _) => May::Old,
            (_, true) => May::New,
            _ => May::Either,
        };
        let disks = numbers.iter().enumerate();
        let disks = disks.map(|(disk, number)| self.content(disk, self.cuts[disk][*number])).collect();
        self.put(format!("disks at their cuts {numbers:?}"), disks, may, self.is_crash(numbers));
    }

    /// All disks abreast; every two of them anywhere, the others at either end; and mixtures of all.
    fn put_flushed(&mut self) {
        for number in 0..self.depth() {
            self.put_cuts(&self.abreast(number));
        }
        for (one, other) in [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)] {
            for rest in [0, usize::MAX] {
                self.put_pair(one, other, rest);
            }
        }
        for _ in 0..MIXTURES {
            let numbers: Vec<usize> = self.cuts.iter().map(|cuts| self.dice.below(cuts.len())).collect();
            self.put_cuts(&numbers);
        }
    }

    fn put_pair(&mut self, one: usize, other: usize, rest: usize) {
        for first in 0..self.cuts[one].len() {
            for second in 0..self.cuts[other].len() {
                let mut numbers = self.abreast(rest);
                (numbers[one], numbers[other]) = (first, second);
                self.put_cuts(&numbers);
            }
        }
    }

    /// F47: one disk forgot what it had acknowledged, back to any moment of its life; the others have all of the step.
    fn put_forgetful(&mut self) {
        for disk in 0..self.cuts.len() {
            for cut in self.histories[disk].cuts(0, self.cuts[disk][0]) {
                let now = self.abreast(usize::MAX).into_iter().enumerate();
                let mut disks: Vec<_> =
                    now.map(|(disk, number)| self.content(disk, self.cuts[disk][number])).collect();
                disks[disk] = self.content(disk, cut);
                self.put(format!("disk {disk} fell back to its entry {cut}"), disks, May::New, false);
            }
        }
    }

    /// F41: on one disk or on all, what was not flushed is there in part, and one write of it is torn between two
    /// sectors, of 4096 bytes and of 512.
    fn put_torn(&mut self) {
        for _ in 0..TEARS {
            let number = self.dice.below(self.depth() - 1);
            let (alone, unit) = (self.dice.below(2 * self.cuts.len()), *self.dice.one_of(&[512, 4096]));
            let disks = (0..self.cuts.len()).map(|disk| {
                let cuts = self.cuts[disk].clone();
                let at = |number: usize| cuts[number.min(cuts.len() - 1)];
                match alone < self.cuts.len() && alone != disk {
                    true => {
                        let number = number + self.dice.below(2);
                        self.content(disk, at(number))
                    }
                    false => Arc::new(self.torn(disk, at(number), at(number + 1), unit)),
                }
            });
            let disks = disks.collect();
            self.put(
                format!("torn at {unit} bytes behind cut {number}, on disk {alone} or all"),
                disks,
                May::Either,
                true,
            );
        }
    }

    /// What the disk holds when of the writes between two flushes some are there, some are not, and one is in part.
    fn torn(&mut self, disk: usize, from: usize, to: usize, unit: usize) -> Content {
        let history = &self.histories[disk];
        let mut content = history.content(from);
        let writes: Vec<_> = history.writes(from, to).collect();
        let torn = self.dice.below(writes.len().max(1));
        for (number, (at, bytes)) in writes.into_iter().enumerate() {
            let is_whole = number != torn && self.dice.below(2) == 0;
            let prefix = (self.dice.below(2) == 0).then(|| self.dice.below(bytes.len() / unit + 1));
            for (place, piece) in bytes.chunks(unit).enumerate() {
                let is_there = prefix.map_or_else(|| self.dice.below(2) == 0, |prefix| place < prefix);
                if is_whole || (number == torn && is_there) {
                    content.write(at + (place * unit) as u64, piece);
                }
            }
        }
        content
    }
}

/// Image files on which states are looked at.
struct Judge {
    images: Images,
}

impl Judge {
    fn shows(&self) -> Result<Vec<String>, Trouble> {
        let said = self.images.evms(ME, "list")?;
        match said.code {
            0 => Ok(model(&said.text.replace(ME, "me").replace(OTHER, "other"))),
            code => Err(Trouble::Code { command: "evms list".into(), code, output: said.text }),
        }
    }

    fn done(&self, node: &str, line: &str) -> Result<String, Trouble> {
        let said = self.images.evms(node, line)?;
        match said.code {
            0 => Ok(said.text),
            code => Err(Trouble::Code { command: format!("evms {line}"), code, output: said.text }),
        }
    }

    /// Does the state keep the law? Answers whether it showed the new model.
    fn judge(&self, state: &State) -> Result<bool, Trouble> {
        let step = &STEPS[state.step];
        let old = state.step.checked_sub(1).map_or(&[][..], |before| STEPS[before].shows);
        self.images.put(&state.disks)?;
        let shown = self.shows()?;
        let (is_old, is_new) = (shown == old, shown == step.shows);
        let is_lawful = match state.may {
            May::Old => is_old,
            May::Either => is_old || is_new,
            May::New => is_new,
        };
        if !is_lawful {
            return Err(Trouble::Unexpected(format!(
                "{shown:?} is shown, which may be {:?}: {old:?}, {:?}",
                state.may, step.shows
            )));
        }
        if state.is_finished {
            self.finish(step)?;
        }
        Ok(is_new)
    }

    /// The same command again brings the new model, and afterwards nothing is damaged.
    fn finish(&self, step: &Step) -> Result<(), Trouble> {
        let again = if step.again.is_empty() { step.change } else { step.again };
        self.done(step.node, &with_disks(again, |name| format!("{name}.img")))?;
        let shown = self.shows()?;
        if shown != step.shows {
            return Err(Trouble::Unexpected(format!("finished as {shown:?}")));
        }
        // Who may mend: its owner now. What is nobody's is mended by the next owner.
        let owner = match step.shows.first() {
            Some(shown) if shown.contains(" deported ") => {
                self.done(ME, "container import data")?;
                ME
            }
            Some(shown) if shown.contains(" other ") => OTHER,
            _ => ME,
        };
        self.done(owner, "check --repair")?;
        let said = self.done(owner, "check")?;
        match said.contains("all is well") || step.shows.is_empty() {
            true => Ok(()),
            false => Err(Trouble::Unexpected(format!("check: {said}"))),
        }
    }
}

/// Judges all states; how many showed the new model, and what was wrong.
fn judge_all(scene: &Scene, states: &[State]) -> Result<(usize, Vec<String>), Trouble> {
    let (evms, folder) = (scene.parts().evms.clone(), scene.folder());
    let judge = &|number: usize| {
        let images = Images::make(&evms, folder, number, NAMES.len(), SIZE_MIB << 20)?;
        let judge = Judge { images };
        let (mut new, mut wrong) = (0, Vec::new());
        for state in states.iter().skip(number).step_by(JUDGES) {
            match judge.judge(state) {
                Ok(is_new) => new += usize::from(is_new),
                Err(trouble) => {
                    wrong.push(format!("{}, {}: {trouble}", STEPS[state.step].change, state.told))
                }
            }
        }
        Ok((new, wrong))
    };
    let ends: Vec<Result<(usize, Vec<String>), Trouble>> = thread::scope(|scope| {
        let running = Vec::from_iter((0..JUDGES).map(|number| scope.spawn(move || judge(number))));
        let died = || Trouble::Unexpected("a judge died".into());
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(died()))).collect()
    });
    ends.into_iter().try_fold((0, Vec::new()), |(new, mut wrong), end| {
        let (more, found) = end?;
        wrong.extend(found);
        Ok((new + more, wrong))
    })
}

/// Proves I6 on the real program over the real kernel: whatever the moment, after any crash every reader sees the same
/// committed model, an acknowledged one is never lost, no reader sees a mixture. Carries F41 and F47.
#[test]
fn f41_f47_every_cut_reopens_as_old_or_new() {
    scene::play("replay", |scene| {
        let histories = record(scene)?;
        let seed = Dice::seed();
        eprintln!("  seed {seed} (EVMS_VM_SEED)");
        let mut all_wrong = Vec::new();
        for (number, step) in STEPS.iter().enumerate() {
            let mut window = Window::of(number, &histories, seed)?;
            window.put_flushed();
            window.put_forgetful();
            window.put_torn();
            let count = window.states.len();
            let (new, wrong) = judge_all(scene, &window.states)?;
            eprintln!(
                "  {}: {count} states, {new} show the new model, {} are wrong",
                step.change,
                wrong.len()
            );
            all_wrong.extend(wrong.into_iter().take(TOLD));
        }
        match all_wrong.is_empty() {
            true => Ok(()),
            false => {
                Err(Trouble::Unexpected(format!("{} wrong:\n{}", all_wrong.len(), all_wrong.join("\n"))))
            }
        }
    });
}
