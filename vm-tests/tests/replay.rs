//! Power is cut at every moment of every kind of change, on four disks at once, without a boot for each: in a guest,
//! `dm-log-writes` under every member disk keeps each write in the order in which it became durable; here the disks are
//! put together again as they were at any moment, and evms looks at them.
//!
//! The law: between two acknowledgements the disks show the model before or the model after, never a mixture and never
//! neither; from the acknowledgement on, the model after. The models are written down in [`STEPS`] by hand.

use std::thread;

use vm_tests::content::History;
use vm_tests::dice::Dice;
use vm_tests::disk::{Disk, Sectors};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::images::{Images, model};
use vm_tests::scene::{self, Scene};
use vm_tests::states::{May, State, Window};
use vm_tests::steps::{ME, NAMES, OTHER, STEPS, Step, with_disks};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 16;
const LOG_MIB: u64 = 64;
const SECTORS: [Sectors; 4] = [Sectors::Plain512, Sectors::Emulated512, Sectors::Native4k, Sectors::Plain512];
/// How many threads judge.
const JUDGES: usize = 2;
/// The exit code of a change that is not this machine's to make.
const NOT_OWNER: i32 = 4;
/// So many wrong states of a step are told.
const TOLD: usize = 8;

/// The mark that says that so many steps are acknowledged.
fn mark(count: usize) -> String {
    format!("done-{count}")
}

/// Puts a `dm-log-writes` device over each disk. A multipath map is the only device-mapper device that evms takes for
/// a disk, so it gets the uuid of one.
fn lay(guest: &mut Guest, disks: &[Disk], logs: &[Disk]) -> Result<(), Trouble> {
    for ((name, disk), log) in NAMES.iter().zip(disks).zip(logs) {
        let (disk, log) = (guest.device(disk)?, guest.device(log)?);
        guest.ok(&format!(
            "dmsetup create {name} -u mpath-{name} --table \"0 $(blockdev --getsz {disk}) log-writes {disk} {log}\""
        ))?;
        guest.ok(&format!("dmsetup message {name} 0 mark {}", mark(0)))?;
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
            guest.ok(&format!("dmsetup message {name} 0 mark {}", mark(number + 1)))?;
        }
    }
    guest.ok("for name in a b c d; do dmsetup remove $name || exit; done")?;
    guest.power_off()?;
    let read = |log: &Disk| std::fs::read(log.path()).map_err(Trouble::file("reading", log.path()));
    logs.iter().map(|log| History::read(read(log)?)).collect()
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

    /// Who gave it away already is not its owner any more: then the new owner says the same. Where a first block was
    /// torn inside, it could be anybody's: then the way is gone that the refusal tells.
    fn say_again(&self, step: &Step, line: &str) -> Result<String, Trouble> {
        let said = self.images.evms(step.node, line)?;
        match said.code {
            0 => Ok(said.text),
            NOT_OWNER => self.done(OTHER, line),
            1 if said.text.contains("--wipe evms,unknown") => {
                self.done(step.node, &format!("{line},unknown"))
            }
            5 if said.text.contains("evms check data --repair") => {
                self.images.evms(step.node, "check data --repair")?;
                self.done(step.node, line)
            }
            code => Err(Trouble::Code { command: format!("evms {line}"), code, output: said.text }),
        }
    }

    /// The same command again brings the new model, and afterwards nothing is damaged.
    fn finish(&self, step: &Step) -> Result<(), Trouble> {
        let again = if step.again.is_empty() { step.change } else { step.again };
        let again = with_disks(again, |name| format!("{name}.img"));
        self.say_again(step, &again)?;
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

fn window(step: usize, histories: &[History], seed: u64) -> Result<Window<'_>, Trouble> {
    Window::of(step, histories, [&mark(step), &mark(step + 1)], seed)
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

/// The judge can say no: states from before a step, called acknowledged, and such from two steps before are wrong.
fn judge_is_no_rubber_stamp(scene: &Scene, histories: &[History], seed: u64) -> Result<(), Trouble> {
    for (step, before, may) in [(2, 2, May::New), (2, 1, May::Either), (2, 4, May::Either)] {
        let disks = window(before, histories, seed)?.at_begin();
        let told = format!("as after {before} steps");
        let (_, wrong) = judge_all(scene, &[State { step, told, disks, may, is_finished: false }])?;
        if !wrong.iter().any(|words| words.contains("is shown")) {
            return Err(Trouble::Unexpected(format!(
                "step {step}, as after {before} steps: not objected to"
            )));
        }
    }
    Ok(())
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
            let mut window = window(number, &histories, seed)?;
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
            true => judge_is_no_rubber_stamp(scene, &histories, seed),
            false => {
                Err(Trouble::Unexpected(format!("{} wrong:\n{}", all_wrong.len(), all_wrong.join("\n"))))
            }
        }
    });
}
