//! Faults by chance, against the laws, on clusters of user-mode machines beside each other ([`lanes`](vm_tests::lanes)): the scripts of
//! `scripts`, many more of them.
//!
//! `EVMS_VM_LANES`: so many clusters. `EVMS_VM_SCRIPTS=1000`: so many of the ledger's seeds that it does not have yet, each chunk
//! written down in `../SCRIPTS_1000.md` when it is played; `../build.sh scripts` asks for that. `EVMS_VM_MINUTES`: no script begins
//! later. `EVMS_VM_SEED`: one alone. Else a few fresh ones.

use vm_tests::lanes;
use vm_tests::trouble::Trouble;

/// Proves that whatever comes over a cluster leaves one writer, all that was acknowledged, and a cluster that comes whole again.
#[test]
fn no_law_is_broken_on_many_clusters() -> Result<(), Trouble> {
    lanes::play()
}
