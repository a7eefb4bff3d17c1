//! Many cases in one boot. Each has a name and is told apart when it fails; the others still run.

use std::any::Any;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use crate::trouble::Trouble;

/// What the environment may hold: only cases with this in their name are run.
pub const ONLY_VARIABLE: &str = "VM_CASE";

/// A case: its name and what it does to the guest, or to whatever the cases share.
pub type Case<Shared> = (&'static str, fn(&mut Shared) -> Result<(), Trouble>);

/// Runs the cases one after another, says how long each took, and names those that failed.
pub fn run<Shared>(shared: &mut Shared, cases: &[Case<Shared>]) -> Result<(), Trouble> {
    let only = env::var(ONLY_VARIABLE).unwrap_or_default();
    let mut failed = Vec::new();
    for (name, case) in cases.iter().filter(|(name, _)| name.contains(&only)) {
        let begin = Instant::now();
        let end = panic::catch_unwind(AssertUnwindSafe(|| case(shared)));
        let took = begin.elapsed().as_secs_f32();
        match end.unwrap_or_else(|assertion| Err(Trouble::Unexpected(words(&*assertion)))) {
            Ok(()) => eprintln!("  case {name}: ok, {took:.1} s"),
            Err(trouble) => {
                eprintln!("  case {name}: FAILED, {took:.1} s: {trouble}");
                // Said again at the end, for the consoles that are printed in between may be all that is left of the text.
                failed.push(format!("{name}: {trouble}"));
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Trouble::Unexpected(format!("failed: {}", failed.join("; "))))
    }
}

/// What an assertion said.
fn words(assertion: &(dyn Any + Send)) -> String {
    let text = assertion.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| assertion.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").into()
}
