//! One change of one container on real disks: found by looking, opened exclusively, read again, changed by the engine.
//! What was read without the lock is a hint only.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::base::failure::Kind;
use crate::base::id::ClusterId;
use crate::base::limits::OPENING_TRIES_MAX;
use crate::engine::author::{Planner, Why};
use crate::engine::change::{Author, Change, Done, Halted, Joiner, Step};
use crate::engine::guard::{Act, Mandate};
use crate::format::model::ChangeKind;
use crate::host::clock;
use crate::host::disk::{OpenDisk, Want};
use crate::host::disk_error::DiskError;
use crate::host::udev::Patience;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::in_use;
use crate::run::perform::{Hands, Mode};
use crate::run::report::{Changed, WriteLine};
use crate::run::scene::{Scene, SceneError, Seen};
use crate::run::writable;
use crate::volume::choose::Chosen;
use crate::volume::commit::Member;
use crate::volume::commit::Unopened;
use crate::volume::discover::{DiskWord, Found, Read};
use crate::volume::mistake::Rules;
use crate::volume::plan::{self, Outcome};
use crate::volume::plugins::local_disk::Filter;
use crate::volume::request::Request;

/// Milliseconds, twice as many after each time of being outbid, below which a random time is waited for. Where an opening takes longer,
/// its time is doubled instead: on slow disks a short pause is none.
const GIVE_WAY_MS: u64 = 10;
const GIVE_WAY_DOUBLINGS_MAX: u32 = 6;
/// The longest of these pauses.
const GIVE_WAY_MS_MAX: u64 = 3_000;

/// A container and its disks, held open for a change.
pub struct Held {
    /// The name by which it was asked for.
    pub name: String,
    /// What was read under the lock.
    pub found: Found,
    /// The scene that holds its disks open; `found.disks[..].place` points into it.
    pub scene: Scene,
}

/// The one container that `name` means, sound enough to be read.
pub fn find<'a>(scene: &'a Scene, name: &str) -> Result<(&'a Found, &'a Chosen), RunError> {
    let found = match scene.containers_named(name).as_slice() {
        [] => return Err(not_found(scene, name)),
        [found] => *found,
        several => {
            return Err(RunError::Ambiguous {
                name: name.into(),
                ids: several.iter().map(|found| found.id).collect(),
            });
        }
    };
    Ok((found, sound(scene, found, name)?))
}

/// Its model, when it may be gone by.
pub(super) fn sound<'a>(scene: &Scene, found: &'a Found, name: &str) -> Result<&'a Chosen, RunError> {
    refuse_clones(scene, found, name)?;
    let chosen = found.chosen.as_ref().map_err(|why| RunError::unchosen(name, why))?;
    if let Some(intent) = found.intent() {
        return Err(RunError::say(
            Kind::Refused,
            format!(
                "container {name} is in the middle of getting new ids (from {} to {}) and was left there by a crash; \
                 nothing was written; finish it by the same command: evms container import {name} --new-ids",
                intent.old_container, intent.new_container
            ),
        ));
    }
    Ok(chosen)
}

fn not_found(scene: &Scene, name: &str) -> RunError {
    let unusable = scene.disks.iter().find_map(|seen| match &seen.sighting {
        Ok(crate::volume::discover::Sighting::Unusable(why)) => Some((seen, why)),
        _ => None,
    });
    let hint = match unusable {
        Some((seen, why)) => {
            format!("and {} carries an evms label that cannot be used: {why}", seen.path.display())
        }
        None => "see what there is with: evms list".to_string(),
    };
    match unusable {
        Some(_) => {
            RunError::Unusable { name: format!("container {name}"), why: format!("it was not found, {hint}") }
        }
        None => RunError::NotFound { what: "container", name: name.into(), hint },
    }
}

/// One identity twice is refused until the user has named which (F45).
pub fn refuse_clones(scene: &Scene, found: &Found, name: &str) -> Result<(), RunError> {
    let Some(places) = found.clones.first() else { return Ok(()) };
    let words = |place: &usize| {
        let seen = scene.disks.get(*place)?;
        let wwid = seen.wwid();
        let path = seen.path.display();
        Some(if wwid.is_empty() { path.to_string() } else { format!("{path} (WWID {wwid})") })
    };
    Err(RunError::Clones { name: name.into(), paths: places.iter().filter_map(words).collect() })
}

impl Context {
    /// Looks at every disk, as the options say, and learns all that the kernel says of each.
    pub fn look(&self) -> Result<Scene, RunError> {
        self.look_by(Scene::of_machine, Want::Look)
    }

    /// Looks for members, as the options say: of other disks nothing is told.
    pub fn look_for_members(&self) -> Result<Scene, RunError> {
        self.look_by(Scene::of_members, Want::Look)
    }

    /// The same, and nothing of it is changed by another command as long as the scene is there: for who maps what he read.
    /// A change that is under way is waited for.
    pub fn look_steadily(&self) -> Result<Scene, RunError> {
        let patience = Patience::for_a_lock();
        loop {
            let scene = match self.look_by(Scene::of_members, Want::Steady) {
                Err(RunError::Scene(SceneError::Open(DiskError::Locked { .. }))) if patience.wait() => {
                    continue;
                }
                other => other?,
            };
            match scene.locked() {
                None => return Ok(scene),
                Some(_) if patience.wait() => (),
                Some(error) => return Err(RunError::Disk(error.clone())),
            }
        }
    }

    /// The same, of the disks of one container alone: what is done to others meanwhile is not waited for, and does not wait.
    pub fn look_steadily_at(&self, name: &str) -> Result<Scene, RunError> {
        let paths = {
            let scene = self.look_for_members()?;
            let (found, _) = find(&scene, name)?;
            paths_of(&scene, found)
        };
        match Scene::opened(&paths, Want::Steady) {
            Ok(scene) => Ok(scene),
            Err(SceneError::Open(error @ DiskError::Locked { .. })) => Err(RunError::Disk(error)),
            // A disk that fails since it was looked at is no reason to do without the others.
            Err(_) => self.look_steadily(),
        }
    }

    fn look_by(
        &self,
        way: impl Fn(&Filter, Want) -> Result<Scene, SceneError>,
        want: Want,
    ) -> Result<Scene, RunError> {
        let options = &self.options;
        if !options.disks.is_empty() {
            return Scene::of_named(&options.disks, want).map_err(RunError::Scene);
        }
        let include = options.include.iter().map(String::as_str).collect::<Vec<_>>();
        let exclude = options.exclude.iter().map(String::as_str).collect::<Vec<_>>();
        let filter = Filter::parse(&include, &exclude, super::context::DISK_BYTES_MIN)
            .map_err(|bad| RunError::say(Kind::Usage, bad.to_string()))?;
        way(&filter, want).map_err(RunError::Scene)
    }

    /// Finds a container and opens its disks for a change. `act` is what the guard is asked, before anything is locked
    /// and again after.
    pub fn hold(&self, name: &str, act: Act) -> Result<Held, RunError> {
        self.hold_without(name, act, &[])
    }

    /// The same, but for the disks at these real paths: they are not opened.
    pub fn hold_without(&self, name: &str, act: Act, left: &[PathBuf]) -> Result<Held, RunError> {
        let held = self.hold_to_mend(name, act, left)?;
        writable::refuse_strange_fronts(name, &held.scene, &held.found)?;
        Ok(held)
    }

    /// The same, though the front of a disk holds what nobody knows: for who was told to write it anew.
    pub fn hold_to_mend(&self, name: &str, act: Act, left: &[PathBuf]) -> Result<Held, RunError> {
        let mut paths = {
            let scene = self.look_for_members()?;
            let (found, chosen) = find(&scene, name)?;
            self.may(&chosen.model, scene.place_of(found), act).map_err(RunError::Denied)?;
            paths_of(&scene, found)
        };
        paths.retain(|path| !left.contains(&std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
        self.hold_these(name, act, &paths)
    }

    /// The same, where it was seen already; a disk that hung then is not asked again.
    pub fn hold_seen(&self, scene: &Scene, found: &Found, act: Act) -> Result<Held, RunError> {
        let name = found.id.to_string();
        let held = self.hold_these(&name, act, &paths_of(scene, found))?;
        writable::refuse_strange_fronts(&name, &held.scene, &held.found)?;
        Ok(held)
    }

    fn hold_these(&self, name: &str, act: Act, paths: &[PathBuf]) -> Result<Held, RunError> {
        // A dry run writes nothing and so needs no lock against others; it may run while the disks are in use.
        let want = if self.options.dry_run { Want::Look } else { Want::Change };
        let scene = match Scene::opened(paths, want) {
            // Its own gates hold the disks of a container that is active.
            Err(SceneError::Open(DiskError::Busy { .. })) if want == Want::Change => {
                Scene::opened(paths, Want::ChangeUnderGates)
            }
            other => other,
        };
        let scene = scene.map_err(RunError::Scene)?;
        let (found, chosen) = find(&scene, name)?;
        self.may(&chosen.model, scene.place_of(found), act).map_err(RunError::Denied)?;
        writable::refuse_newer(name, found)?;
        let found = found.clone();
        Ok(Held { name: name.into(), found, scene })
    }
}

fn paths_of(scene: &Scene, found: &Found) -> Vec<PathBuf> {
    let path = |place: usize| scene.disks.get(place).map(|seen| seen.path.clone());
    found.disks.iter().filter_map(|read| path(read.place)).collect()
}

impl Held {
    /// The model that counts, as read under the lock.
    pub fn chosen(&self) -> Result<&Chosen, RunError> {
        self.found.chosen.as_ref().map_err(|why| RunError::unchosen(&self.name, why))
    }

    /// The disks that were opened for it, in the order of their lanes.
    pub fn disks(&self) -> Vec<&OpenDisk> {
        let open = |place: usize| self.scene.disks.get(place).and_then(|seen| seen.open.as_ref().ok());
        self.found.disks.iter().filter_map(|read| open(read.place)).collect()
    }

    /// The same as members.
    pub fn members(&self) -> Vec<Member> {
        self.found.disks.iter().map(|read| read.labelled.member()).collect()
    }

    /// The scene's view of the disk with this path.
    pub fn seen(&self, path: &std::path::Path) -> Option<&Seen> {
        self.scene.disks.iter().find(|seen| seen.path == path)
    }
}

impl Hands<'_> {
    /// Whether others opened the container at the same time, and nothing is lost by asking again. Where no disk failed, doubt is
    /// another sign of it: a slot that is being written reads as torn, and its disk does not count.
    fn is_outbid(&self, why: &Halted<Why>, request: Option<&Request>) -> bool {
        let nothing_failed = self.errors.is_empty() && self.denied.is_none();
        nothing_failed
            && match why {
                // In the opening, which carries nothing of the request, or what is planned anew on what came of it.
                Halted::Unopened(Unopened::Superseded(_) | Unopened::InDoubt(_)) => true,
                // In the commit is another matter: it may have been adopted, and `--size +1G` must not be done twice. What speaks of
                // gates alone may be said twice.
                Halted::Superseded(_) | Halted::InDoubt(_) => {
                    matches!(
                        request,
                        Some(Request::Admit { .. } | Request::Withdraw | Request::Suspend { .. })
                    )
                }
                _ => false,
            }
    }
}

/// Lets hands carry out a change to its end.
pub fn drive<A: Author>(change: &mut Change<A>, hands: &mut Hands<'_>) {
    loop {
        match change.poll(clock::boot_now()) {
            Step::Io(asks, permit) => {
                for (lane, answer) in hands.carry_out(&asks, permit) {
                    change.handle(lane, answer);
                }
            }
            Step::Pause => hands.pause(),
            Step::Wait(ms) => hands.give_way(ms),
            Step::Still => hands.watch(),
            Step::Proof => change.proof(hands.await_proof()),
            Step::Over => return,
        }
    }
}

/// A request for a held container, with the disks that join it behind its own.
pub struct Errand<'a> {
    /// The container.
    pub held: &'a Held,
    /// What is asked; `None` opens, finishes what others began, and writes every copy anew; or, for who goes on, nothing where all stands.
    pub request: Option<Request>,
    /// What the act is to the guard.
    pub act: Act,
    /// Disks that join, open for writing, and their labels.
    pub joining: Vec<(&'a Seen, Joiner)>,
}

impl Context {
    /// Runs an errand: says "already so" before anything is written, tries again when outbid.
    pub fn run(&mut self, errand: Errand<'_>) -> Result<Changed, RunError> {
        let held = errand.held;
        let chosen = held.chosen()?;
        self.may_go_on(held, chosen)?;
        let place = held.scene.place_of(&held.found);
        if let Some(already) = self.already(&errand, chosen)? {
            return Ok(already);
        }
        if let Some(request) = &errand.request {
            in_use::refuse(&chosen.model, place, request, &self.called_here())?;
        }
        let mut disks = held.disks();
        disks.extend(errand.joining.iter().filter_map(|(seen, _)| seen.open.as_ref().ok()));
        let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
        let me = self.me(place, self.cluster_for(&chosen.model.container, errand.act))?;
        let mut took = Duration::ZERO;
        for again in 0..OPENING_TRIES_MAX {
            self.give_way(again, took);
            let begin = Instant::now();
            let mandate: Mandate = self.may(&chosen.model, place, errand.act).map_err(RunError::Denied)?;
            let planner = self.planner(&errand);
            let mut hands = self.hands(disks.clone());
            // What is standalone is no cluster's affair.
            hands.lease = hands.lease.filter(|_| !chosen.model.container.cluster.is_none());
            // Going on changes nothing that anybody would look for in the history; what was there before it may be another matter.
            let keep = errand.act != Act::Regain || chosen.model.change.kind != ChangeKind::Opening;
            let mut change = Change::new(held.members(), mandate, me.clone(), planner, keep, Rules::ALL);
            drive(&mut change, &mut hands);
            took = begin.elapsed();
            let (planner, result) = change.finish();
            match result {
                Some(Ok(done)) => return Ok(self.changed(held, &planner, &done, &hands, &paths)),
                Some(Err(why))
                    if again + 1 < OPENING_TRIES_MAX && hands.is_outbid(&why, errand.request.as_ref()) =>
                {
                    // Once more.
                }
                Some(Err(_)) if hands.denied.is_some() => return Err(hands.stopped(&held.name)),
                Some(Err(why)) => {
                    let errors = hands.errors.iter().map(|(_, error)| error.clone()).collect::<Vec<_>>();
                    return Err(RunError::halted(&held.name, why, hands.touched(), &errors));
                }
                None => break,
            }
        }
        let epoch = chosen.image.header.order.epoch;
        Err(RunError::Superseded { name: held.name.clone(), epoch, touched: self.mode() == Mode::Real })
    }

    /// Outbid by another node that opens it too, in a try that took so long: who tries again at once outbids that one in turn, for ever.
    pub(super) fn give_way(&mut self, again: u32, took: Duration) {
        if again > 0 {
            let once = GIVE_WAY_MS.max(u64::try_from(took.as_millis()).unwrap_or(GIVE_WAY_MS_MAX));
            let most = once.saturating_mul(1 << again.min(GIVE_WAY_DOUBLINGS_MAX)).min(GIVE_WAY_MS_MAX);
            std::thread::sleep(Duration::from_millis(self.dice.number() % most));
        }
    }

    /// A majority must be here before anything is written at all.
    pub(crate) fn may_go_on(&self, held: &Held, chosen: &Chosen) -> Result<(), RunError> {
        if chosen.majority_read {
            return Ok(());
        }
        let quorum = crate::volume::votes::Quorum::of(&chosen.model.table);
        Err(RunError::NoMajority {
            name: held.name.clone(),
            tally: quorum.tally(&chosen.read, Rules::ALL),
            missing: held.found.missing().into_iter().collect(),
        })
    }

    /// Plans on what was read, so that a refusal or "already so" costs no opening.
    fn already(&mut self, errand: &Errand<'_>, chosen: &Chosen) -> Result<Option<Changed>, RunError> {
        let Some(request) = &errand.request else { return Ok(None) };
        let held = errand.held;
        // What is in doubt, or half way through a change of its disks, is settled by the opening first.
        if !chosen.committed || chosen.model.table.old_set.is_some() {
            return Ok(None);
        }
        // Copies that a crash left behind are finished by saying the command again: the opening writes them anew.
        let sound = |read: &Read| match held.found.word(read) {
            DiskWord::Current => read.newest_at_both_ends(),
            DiskWord::NotMember | DiskWord::Released => true,
            DiskWord::Stale | DiskWord::Empty | DiskWord::Damaged => false,
        };
        if !held.found.disks.iter().all(sound) {
            return Ok(None);
        }
        let mut model = chosen.model.clone();
        let reached = chosen.read.iter().copied().collect::<Vec<_>>();
        plan::mark_absent(&mut model, &reached, chosen.image.header.order.generation);
        let order = chosen.image.header.order;
        match plan::plan(
            &model,
            order,
            request,
            &self.asker(self.cluster_for(&chosen.model.container, errand.act)),
            &mut self.dice.clone(),
        ) {
            Err(refusal) => Err(RunError::Refused(Box::new(refusal))),
            Ok(Outcome::Next(_)) => Ok(None),
            Ok(Outcome::AlreadySo(words)) => Ok(Some(Changed {
                done: words,
                already_so: true,
                dry_run: self.options.dry_run,
                container: chosen.model.container.name.to_string(),
                epoch: order.epoch.0,
                generation: order.generation.0,
                ..Changed::default()
            })),
        }
    }

    fn planner(&self, errand: &Errand<'_>) -> Planner {
        let chosen = errand.held.found.chosen.as_ref();
        let cluster =
            chosen.map_or(ClusterId::NONE, |chosen| self.cluster_for(&chosen.model.container, errand.act));
        Planner {
            principal: self.principal(cluster),
            asker: self.asker(cluster),
            place: errand.held.scene.place_of(&errand.held.found),
            act: errand.act,
            request: errand.request.clone(),
            joiners: errand.joining.iter().map(|(_, joiner)| joiner.clone()).collect(),
            first: None,
            dice: self.dice.clone(),
            words: None,
            already: None,
        }
    }

    fn changed(
        &self,
        held: &Held,
        planner: &Planner,
        done: &Done,
        hands: &Hands<'_>,
        paths: &[String],
    ) -> Changed {
        let mut notes = Vec::new();
        for number in done.missed.iter() {
            notes.push(format!(
                "disk {number} missed this change; when it is back: evms container readmit {} {number}",
                done.model.container.name
            ));
        }
        for number in done.freed.iter() {
            notes.push(format!(
                "disk {number} was let go before and still had its labels; they go with this change, and it is free"
            ));
        }
        for number in done.unwiped.iter() {
            notes.push(format!("disk {number} was let go and its labels could not be wiped"));
        }
        notes.extend(hands.errors.iter().map(|(_, error): &(usize, DiskError)| error.to_string()));
        let done_words = planner.words.as_ref().map(|words| format!("container {}: {words}", held.name));
        let words = done_words.or(planner.already.clone());
        Changed {
            done: words
                .unwrap_or_else(|| format!("container {}: opened, every copy written anew", held.name)),
            already_so: planner.words.is_none() && planner.already.is_some(),
            dry_run: self.options.dry_run,
            container: done.model.container.name.to_string(),
            epoch: done.order.epoch.0,
            generation: done.order.generation.0,
            suspended: done.model.container.suspended,
            notes,
            writes: if self.options.dry_run { write_lines(hands, paths) } else { Vec::new() },
        }
    }
}

/// The writes of hands, by path.
pub fn write_lines(hands: &Hands<'_>, paths: &[String]) -> Vec<WriteLine> {
    let line = |written: crate::run::perform::Written| WriteLine {
        disk: paths.get(written.lane).cloned().unwrap_or_default(),
        sector: written.sector,
        sectors: written.sectors,
        what: written.purpose.words(),
    };
    hands.ranges().into_iter().map(line).collect()
}
