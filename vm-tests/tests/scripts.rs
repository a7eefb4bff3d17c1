//! Faults by chance, against the laws: a cluster under scripts ([`trial`](vm_tests::trial)), each thrown from one seed, on machines of
//! the emulator. Beside each other, and many more, they are played on user-mode machines: `many_scripts`.
//!
//! `EVMS_VM_SCRIPTS=24`: so many, their seeds go on where `../SCRIPTS.md` ends, and each is written down there. `EVMS_VM_LONG=1`: 24
//! from a fresh seed on. `EVMS_VM_SEED`: the first seed, one script if no count is given.

use std::time::Instant;

use vm_tests::dice::SEED_VARIABLE;
use vm_tests::kind::Kind;
use vm_tests::scene;
use vm_tests::score;
use vm_tests::script::Script;
use vm_tests::trial::{self, Trial};
use vm_tests::trouble::Trouble;

/// Proves that whatever comes over a cluster leaves one writer, all that was acknowledged, and a cluster that comes whole again.
#[test]
fn no_law_is_broken_by_any_script() {
    let (first, count) = score::seeds();
    scene::play("scripts", |scene| {
        let mut trial = Trial::found(trial::yard(scene, Kind::Emulated)?)?;
        for seed in first..first + count {
            let begin = Instant::now();
            let end = trial.play(&Script::of(seed));
            score::note(seed, &trial.score(), begin.elapsed(), end.as_ref().err())?;
            end.map_err(|trouble| {
                let replay = format!("{SEED_VARIABLE}={seed} plays it again");
                Trouble::Unexpected(format!("{replay}\n{}{trouble}", Script::of(seed)))
            })?;
        }
        Ok(())
    });
}
