//! Containers seen to side by side, a thread for each: one whose disks hang, or that waits for a proof, keeps none but itself.

use std::io;
use std::thread;

/// Containers that are seen to at one time.
const AT_ONCE_MAX: usize = 16;
/// Bytes of the stack of each.
const STACK_BYTES: usize = 512 * 1024;

/// Does the work for every item, and comes back when all of it is done. What there is no thread for is `unbegun`: nothing was done of it.
pub(super) fn abreast<T: Sync>(items: &[T], work: &(dyn Fn(&T) + Sync), unbegun: &dyn Fn(&T, &io::Error)) {
    for some in items.chunks(AT_ONCE_MAX) {
        thread::scope(|scope| {
            for item in some {
                let thread = thread::Builder::new().name("abreast".into()).stack_size(STACK_BYTES);
                if let Err(error) = thread.spawn_scoped(scope, move || work(item)) {
                    unbegun(item, &error);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// Each waits for the last of its chunk: one after the other they would never end.
    #[test]
    fn nobody_waits_for_the_one_before() {
        let (begun, all) = (Mutex::new(0), Condvar::new());
        let items = (0..2 * AT_ONCE_MAX).collect::<Vec<_>>();
        let work = |item: &usize| {
            let mut begun = begun.lock().unwrap();
            *begun += 1;
            all.notify_all();
            let chunk = (item / AT_ONCE_MAX + 1) * AT_ONCE_MAX;
            drop(all.wait_while(begun, |begun| *begun < chunk).unwrap());
        };
        abreast(&items, &work, &|_, error| panic!("{error}"));
        assert_eq!(*begun.lock().unwrap(), items.len());
    }
}
