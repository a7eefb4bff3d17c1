//! Asking a node that is silent on the network, over the disks of what it holds, whether its gates let anything through: who is cut off
//! and lives closes them, says so, and is neither waited for nor switched off. Of each disk a thread, for any of them may hang (R8); one
//! answer on one disk is enough.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::{Incarnation, NodeId, NodeUuid};
use crate::base::limits::NODE_ID_MAX;
use crate::base::time::BootTime;
use crate::engine::guard::Warrant;
use crate::engine::guard::duty::Answered;
use crate::engine::guard::evidence::{self, Absence, Evidence, Question};
use crate::format::disk_beat::{DiskQuestion, Nonce};
use crate::format::model::ContainerKind;
use crate::host::{clock, entropy, stragglers};
use crate::run::company::Cluster;
use crate::run::context::Context;
use crate::run::disk_beats::BEAT_MS;
use crate::run::disk_beats::disk::{Stand, Unfit};
use crate::run::failure::RunError;
use crate::run::scene::Scene;
use crate::volume::discover::Found;

/// Milliseconds in which an answer may come: two beats, and as much as a disk may take for it.
const LIMIT_MS: u64 = 3 * BEAT_MS;
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of a thread's stack.
const STACK_BYTES: usize = 256 * 1024;

/// Of which containers that a node has gates of it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Those that it owns: they are taken on its answer.
    Owned,
    /// Those that it shares as well: for what it answers about its power is not cut.
    All,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Heard {
    /// About so many containers that it owns was asked.
    pub(super) asked: usize,
    /// What was answered of those.
    pub(super) owned: Vec<Answered>,
    /// And of others, which it shares.
    pub(super) shared: Vec<Answered>,
}

/// Asks about every container that the victim has gates of. What does not answer in time says nothing.
pub(super) fn ask(
    context: &Context,
    cluster: &Cluster,
    victim: NodeUuid,
    about: About,
) -> Result<Heard, RunError> {
    let mut heard = Heard::default();
    let Some(absence) = cluster.absence_of(victim) else { return Ok(heard) };
    let scene = context.look_for_members()?;
    let mut dice = entropy::dice().map_err(|error| RunError::say(Kind::Device, error.to_string()))?;
    let told = Arc::new(Told::default());
    let (mut all, mut owned) = (0, BTreeSet::new());
    for found in scene.containers.iter() {
        let Some(incarnation) = held(found, cluster, victim, about) else { continue };
        if held(found, cluster, victim, About::Owned).is_some() {
            owned.insert(found.id);
        }
        let (container, nonce) = (found.id, Nonce(dice.bytes16()));
        let question = Question { victim, incarnation, container, nonce, asked: clock::boot_now() };
        let asker = Asker { warrant: cluster.warrant, question, absence };
        all += 1;
        paths(&scene, found).into_iter().for_each(|path| begin(path, asker, Arc::clone(&told)));
    }
    // Nothing of it is held open meanwhile.
    drop(scene);
    let ends = clock::boot_now().plus_ms(LIMIT_MS);
    // Who still waits for an answer holds the other end of this.
    while Arc::strong_count(&told) > 1 && told.count() < all && clock::boot_now() < ends {
        thread::sleep(LOOK);
    }
    if Arc::strong_count(&told) > 1 {
        stragglers::leave();
    }
    heard.asked = owned.len();
    (heard.owned, heard.shared) =
        told.take().into_iter().partition(|answer| owned.contains(&answer.container));
    Ok(heard)
}

/// Does the victim still own any container of which it answered?
pub(super) fn is_any_its(
    context: &Context,
    cluster: &Cluster,
    victim: NodeUuid,
    answers: &[Answered],
) -> Result<bool, RunError> {
    let scene = context.look_for_members()?;
    let mut its =
        scene.containers.iter().filter(|found| held(found, cluster, victim, About::Owned).is_some());
    Ok(its.any(|found| answers.iter().any(|answer| answer.container == found.id)))
}

/// What is answered, one for each container.
#[derive(Default)]
struct Told(Mutex<Vec<Answered>>);

impl Told {
    fn tell(&self, answer: Answered) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().all(|known| known.container != answer.container) {
            all.push(answer);
        }
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Vec<Answered> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// By which life the victim has gates of a container, where a majority of its disks tells.
fn held(found: &Found, cluster: &Cluster, victim: NodeUuid, about: About) -> Option<Incarnation> {
    let chosen = found.chosen.as_ref().ok().filter(|chosen| chosen.majority_read)?;
    let container = &chosen.model.container;
    let is_its = match container.kind {
        ContainerKind::Private => container.owner.as_ref().is_some_and(|owner| owner.node == victim),
        ContainerKind::Shared => about == About::All,
        ContainerKind::Deported | ContainerKind::Deleted => false,
    };
    let is_ours = container.cluster == cluster.warrant.cluster;
    container.holder(victim).filter(|_| is_ours && is_its).map(|holder| holder.incarnation)
}

fn paths(scene: &Scene, found: &Found) -> Vec<PathBuf> {
    found.disks.iter().filter_map(|disk| Some(scene.disks.get(disk.place)?.path.clone())).gather()
}

/// Who asks on one disk.
#[derive(Clone, Copy)]
struct Asker {
    warrant: Warrant,
    question: Question,
    absence: Absence,
}

/// That nobody can be started for it is the same as no answer.
fn begin(path: PathBuf, asker: Asker, told: Arc<Told>) {
    let thread = thread::Builder::new().name("asks".into()).stack_size(STACK_BYTES);
    let _ = thread.spawn(move || match asker.ask(&path) {
        Ok(Some(evidence)) => {
            let container = asker.question.container;
            told.tell(Answered { container, evidence, read: clock::boot_now() });
        }
        Err(Unfit::NotNow(error)) => log::debug!("not asked on a disk: {error}"),
        Ok(None) | Err(Unfit::NotIt) => (),
    });
}

impl Asker {
    /// Until it is answered, or the time is over: somebody may change the disk for a moment, or a path come back.
    fn ask(&self, path: &Path) -> Result<Option<Evidence>, Unfit> {
        let ends = clock::boot_now().plus_ms(LIMIT_MS);
        let mut asked = None;
        loop {
            let tried = match &asked {
                None => self.put(path).map(|stand| {
                    asked = Some(stand);
                    None
                }),
                Some(stand) => self.listen(stand),
            };
            let now = clock::boot_now();
            match tried {
                Ok(None) | Err(Unfit::NotNow(_)) if now < ends && self.may(now) => thread::sleep(LOOK),
                done => return done,
            }
        }
    }

    fn put(&self, path: &Path) -> Result<Stand, Unfit> {
        let Question { container, victim, incarnation, nonce, .. } = self.question;
        let stand = Stand::open(path, container)?;
        let Warrant { cluster, node: id, .. } = self.warrant;
        let question = DiskQuestion { id, cluster, container, asked: victim, incarnation, nonce };
        let (_, at) = stand.places(id);
        stand.say(at, &question.encode())?;
        Ok(stand)
    }

    fn listen(&self, stand: &Stand) -> Result<Option<Evidence>, Unfit> {
        let words = stand.hear(NodeId(NODE_ID_MAX))?;
        let worth = |beat| evidence::shut(&self.question, beat, self.absence);
        Ok(words.beats.iter().find_map(worth))
    }

    /// Does the lease go on in which it asks?
    fn may(&self, now: BootTime) -> bool {
        now < self.warrant.lease.end()
    }
}
