//! Containers seen to side by side, by a few threads: one whose disks hang, or that waits for a proof, keeps none but itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Containers that are seen to at one time.
const AT_ONCE_MAX: usize = 16;
/// Bytes of the stack of each thread but this.
const STACK_BYTES: usize = 512 * 1024;

/// Does the work for every item, and comes back when all of it is done. Where there is no thread to be had this one does it alone.
pub(super) fn abreast<T: Sync>(items: &[T], work: &(dyn Fn(&T) + Sync)) {
    let next = AtomicUsize::new(0);
    let go = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..items.len().min(AT_ONCE_MAX) {
            let thread = thread::Builder::new().name("abreast".into()).stack_size(STACK_BYTES);
            if thread.spawn_scoped(scope, go).is_err() {
                break;
            }
        }
        go();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// The first ones wait for the last: one after the other they would never end.
    #[test]
    fn nobody_waits_for_the_one_before() {
        let (begun, all) = (Mutex::new(0), Condvar::new());
        let items = (0..3 * AT_ONCE_MAX).collect::<Vec<_>>();
        let work = |item: &usize| {
            let mut begun = begun.lock().unwrap();
            *begun += 1;
            all.notify_all();
            if *item + 1 < AT_ONCE_MAX {
                drop(all.wait_while(begun, |begun| *begun < items.len()).unwrap());
            }
        };
        abreast(&items, &work);
        assert_eq!(*begun.lock().unwrap(), items.len());
    }

    #[test]
    fn nothing_is_done_for_nobody() {
        abreast(&[], &|_: &u8| panic!());
    }
}
