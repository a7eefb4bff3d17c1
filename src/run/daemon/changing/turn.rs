//! One thing after the other on the disk: what was promised is read, judged and kept, by a thread that goes on though nobody
//! waits for it any more, and may outlive the life of the daemon that began it. So there is one turn for the process, and who
//! has it looks first whether its life is over: what a life promised that is over counts for nobody, and what the next one
//! promised is not to be forgotten for it.

use std::sync::{Mutex, PoisonError};

use smol::channel::bounded;

use crate::cluster::accord::{Accord, NotSo};
use crate::cluster::roster::Roster;
use crate::run::daemon::{DaemonError, agreed};

/// Of all lives of this process, as the desks of arbitration are.
static TURN: Mutex<()> = Mutex::new(());

/// Runs what waits for a disk in a thread of its own, so that the loop goes on (safety 1.4).
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DaemonError> + Send + 'static,
) -> Result<T, DaemonError> {
    let (tell, told) = bounded(1);
    let run = move || drop(tell.try_send(work()));
    std::thread::Builder::new().name("keep".into()).spawn(run).map_err(DaemonError::Loop)?;
    let ended = || DaemonError::Loop(std::io::ErrorKind::BrokenPipe.into());
    told.recv().await.map_err(|_| ended())?
}

/// The same, when nobody else is at it.
pub async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DaemonError> + Send + 'static,
) -> Result<T, DaemonError> {
    aside(move || {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    })
    .await
}

/// Reads the accord, has it judged, and keeps what became of it.
pub fn keep_judged<T>(
    before: &Roster,
    judge: impl FnOnce(&mut Accord, &Roster) -> Result<T, NotSo>,
) -> Result<Result<T, NotSo>, DaemonError> {
    let kept = agreed::kept()?.map(|(kept, _)| kept);
    let mut accord = agreed::accord(before)?;
    let was = accord.clone();
    let judged = judged(kept.as_ref(), before, &mut accord, judge);
    if accord != was {
        agreed::keep_accord(&accord)?;
    }
    Ok(judged)
}

/// What is to be kept of an accord, by a life that goes by `before`, where the disk says what this node goes by.
fn judged<T>(
    kept: Option<&Roster>,
    before: &Roster,
    accord: &mut Accord,
    judge: impl FnOnce(&mut Accord, &Roster) -> Result<T, NotSo>,
) -> Result<T, NotSo> {
    match kept.and_then(|kept| newer_than(kept, before)) {
        // Another life promises about the one that follows on that: there is one place for what is promised.
        Some(generation) => Err(NotSo::Generation(generation.saturating_add(1))),
        None => judge(accord, before),
    }
}

fn newer_than(kept: &Roster, before: &Roster) -> Option<u64> {
    let (kept, before) = (&kept.configuration, &before.configuration);
    (kept.cluster == before.cluster && kept.generation > before.generation).then_some(kept.generation)
}

/// What becomes of a configuration that was decided, given what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopting {
    /// It is kept from now on.
    Takes,
    /// It is already.
    AlreadySo,
    /// A newer one is: nothing is written.
    Newer(u64),
}

/// Nobody goes back, not even by a word that comes late.
pub fn adopting(kept: Option<&Roster>, next: &Roster) -> Adopting {
    let same = kept.filter(|kept| kept.configuration.cluster == next.configuration.cluster);
    match same.map(|kept| kept.configuration.generation) {
        Some(kept) if kept > next.configuration.generation => Adopting::Newer(kept),
        Some(kept) if kept == next.configuration.generation => Adopting::AlreadySo,
        _ => Adopting::Takes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitration::Ballot;

    fn roster(generation: u64) -> Roster {
        let text = format!(
            "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = {generation}\n[[node]]\nid = 1\n\
             name = \"n1\"\nmachine = \"22222222-2222-4222-8222-222222222221\"\nlinks = [\"10.0.0.1\"]\n"
        );
        Roster::parse(&text).unwrap()
    }

    /// A thread of an earlier life gets its turn late: the new life has promised about the 9th by then, and there is one place.
    #[test]
    fn what_an_earlier_life_promises_late_is_not_kept() {
        let (before, kept) = (roster(7), roster(8));
        let mut accord = Accord::of(&before, None);
        let promise = |accord: &mut Accord, _: &Roster| {
            accord.prepare(8, Ballot(65537)).map(|accepted| accepted.is_some())
        };
        let told = judged(Some(&kept), &before, &mut accord, promise);
        assert_eq!(told, Err(NotSo::Generation(9)));
        assert_eq!(accord, Accord::of(&before, None), "nothing is to be written");
        assert_eq!(judged(Some(&before), &before, &mut accord, promise), Ok(false));
        assert_ne!(accord, Accord::of(&before, None));
    }

    #[test]
    fn a_newer_configuration_is_not_replaced_by_a_word_that_comes_late() {
        let at = |kept: u64| adopting(Some(&roster(kept)), &roster(8));
        assert_eq!(at(9), Adopting::Newer(9));
        assert_eq!(at(8), Adopting::AlreadySo);
        assert_eq!(at(7), Adopting::Takes);
        assert_eq!(adopting(None, &roster(8)), Adopting::Takes);
    }

    /// Two lives have one turn: the second waits until the first one's thread has done, whoever began it.
    #[test]
    fn two_lives_have_one_turn() {
        let (enter, entered) = std::sync::mpsc::channel();
        let (let_go, gone) = std::sync::mpsc::channel::<()>();
        let first = std::thread::spawn(move || {
            smol::block_on(in_turn(move || {
                let _ = enter.send(());
                let _ = gone.recv();
                Ok(())
            }))
        });
        entered.recv().unwrap();
        assert!(TURN.try_lock().is_err(), "whoever comes waits");
        drop(let_go);
        assert!(first.join().unwrap().is_ok());
    }
}
