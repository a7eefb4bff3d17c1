//! Memory for the one thread that may not wait (safety 1.4): a pool of its own, there before it is needed, without a lock. The allocator of
//! everybody else has one, and whoever holds it may be a thread that a busy processor lets stand, while the detector has a
//! beat to send. Blocks are of powers of two, each taken and given back in a few steps.
//!
//! Memory goes between threads: what the detector made and another one drops is put into a box that the detector empties, and the other
//! way round. Nobody waits for that either.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use nix::libc;

/// Bytes of the pool: four times what a detector of 64 nodes has been seen to have at one time.
pub const POOL_BYTES: usize = 1 << 20;
/// The smallest block is of so many bytes, as a power of two: a block that was given back has to hold a [`Given`].
const SMALLEST_BITS: u32 = 5;
/// Sizes of blocks: 32 bytes to 64 KiB. What is larger comes from everybody's allocator.
const SIZES: usize = 12;
/// Blocks stand at multiples of this, and what wants more comes from everybody's allocator.
const ALIGNMENT: usize = 16;

thread_local! {
    /// Whose pool this thread has.
    static OWNED: Cell<*const Memory> = const { Cell::new(ptr::null()) };
}

/// A block that is nobody's, and what it was.
struct Given {
    next: *mut Given,
    bytes: usize,
    align: usize,
}

/// Everybody's allocator, and the pool.
pub struct Memory {
    common: dlmalloc::GlobalDlmalloc,
    /// The pool's bytes, once somebody has had it.
    bytes: AtomicPtr<u8>,
    /// Has a thread the pool?
    is_taken: AtomicBool,
    /// Of who has it: where nothing was taken yet, and blocks of each size that were given back.
    fresh: Cell<usize>,
    free: [Cell<*mut Given>; SIZES],
    /// Blocks of the pool that others dropped.
    to_pool: AtomicPtr<Given>,
    /// What is of everybody's allocator and was dropped by who has the pool.
    to_common: AtomicPtr<Given>,
    /// How often it could not be had from the pool.
    missed: AtomicU64,
}

// SAFETY: `fresh`, `free` and blocks of the pool that are nobody's are touched by the one thread that has taken `is_taken`, which is handed on
// with acquire and release; all else is atomic, or is everybody's allocator, which has its lock.
unsafe impl Sync for Memory {}

/// This thread has the pool, until this is dropped.
pub struct Pooled {
    memory: &'static Memory,
    // Of this thread.
    _here: core::marker::PhantomData<*const ()>,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        OWNED.set(ptr::null());
        self.memory.is_taken.store(false, Ordering::Release);
    }
}

/// Which size of block that needs; nothing where the pool has none.
fn size_of(layout: Layout) -> Option<usize> {
    let bits = layout.size().max(1 << SMALLEST_BITS).next_power_of_two().trailing_zeros();
    let size = (bits - SMALLEST_BITS) as usize;
    (size < SIZES && layout.align() <= ALIGNMENT).then_some(size)
}

impl Memory {
    /// Nobody has the pool.
    pub const fn new() -> Memory {
        Memory {
            common: dlmalloc::GlobalDlmalloc,
            bytes: AtomicPtr::new(ptr::null_mut()),
            is_taken: AtomicBool::new(false),
            fresh: Cell::new(0),
            free: [const { Cell::new(ptr::null_mut()) }; SIZES],
            to_pool: AtomicPtr::new(ptr::null_mut()),
            to_common: AtomicPtr::new(ptr::null_mut()),
            missed: AtomicU64::new(0),
        }
    }

    /// Gives this thread the pool; nothing when another one has it, or there is no memory for it. Where all memory of the process is locked
    /// that is too, and is there from now on.
    pub fn pool(&'static self) -> Option<Pooled> {
        let taken = self.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.ok()?;
        if self.bytes.load(Ordering::Relaxed).is_null() {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // There at once, also where memory may not be locked.
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
            // SAFETY: it is mapped where nothing is.
            let bytes = unsafe { libc::mmap(ptr::null_mut(), POOL_BYTES, access, kind, -1, 0) };
            if bytes == libc::MAP_FAILED {
                self.is_taken.store(false, Ordering::Release);
                return None;
            }
            self.bytes.store(bytes.cast(), Ordering::Relaxed);
        }
        OWNED.set(self);
        Some(Pooled { memory: self, _here: core::marker::PhantomData })
    }

    /// How often who has the pool had to ask everybody's allocator.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Bytes of the pool that were taken at least once; for who has it.
    #[cfg(test)]
    fn touched_bytes(&self) -> usize {
        self.fresh.get()
    }

    /// Is this the thread that has the pool?
    fn is_owners(&self) -> bool {
        ptr::eq(OWNED.get(), self)
    }

    fn is_in_pool(&self, block: *mut u8) -> bool {
        // Who has a block of it has seen that it is there.
        let begin = self.bytes.load(Ordering::Relaxed) as usize;
        begin != 0 && (block as usize).wrapping_sub(begin) < POOL_BYTES
    }

    /// Of who has the pool alone.
    fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        let size = size_of(layout)?;
        let free = self.free.get(size)?;
        if free.get().is_null() {
            self.empty_box();
        }
        if let Some(block) = NonNull::new(free.get()) {
            // SAFETY: it is a block of this size that is nobody's; it was made a `Given` when it was given back.
            free.set(unsafe { block.as_ref() }.next);
            return Some(block.cast());
        }
        let (at, bytes) = (self.fresh.get(), 1 << (size as u32 + SMALLEST_BITS));
        let end = at.checked_add(bytes).filter(|end| *end <= POOL_BYTES)?;
        self.fresh.set(end);
        // SAFETY: `at` is inside, and nobody was given what lies behind it.
        NonNull::new(unsafe { self.bytes.load(Ordering::Relaxed).add(at) })
    }

    /// What others dropped is free. Of who has the pool alone.
    fn empty_box(&self) {
        let mut next = self.to_pool.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(given) = NonNull::new(next) {
            // SAFETY: whoever dropped it wrote a `Given` there, and it is nobody's.
            let (bytes, align) = unsafe { (given.as_ref().bytes, given.as_ref().align) };
            next = unsafe { given.as_ref().next };
            if let Ok(layout) = Layout::from_size_align(bytes, align) {
                self.put_back(given.as_ptr().cast(), layout);
            }
        }
    }

    /// Of who has the pool alone.
    fn put_back(&self, block: *mut u8, layout: Layout) {
        let Some(free) = size_of(layout).and_then(|size| self.free.get(size)) else { return };
        let given = block.cast::<Given>();
        // SAFETY: the block is of the pool, of 32 bytes at least, at a multiple of 16, and nobody's any more.
        unsafe { given.write(Given { next: free.get(), bytes: layout.size(), align: layout.align() }) };
        free.set(given);
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

/// Puts a block into a box that whoever it came from empties. It has 24 bytes: the smallest of the pool has 32, and so has the
/// smallest of dlmalloc, of which 24 are its user's.
///
/// # Safety
/// The block is of this layout, and nobody's any more.
unsafe fn hand_over(to: &AtomicPtr<Given>, block: *mut u8, layout: Layout) {
    let given = block.cast::<Given>();
    let mut next = to.load(Ordering::Relaxed);
    loop {
        // SAFETY: the caller's word, and above.
        unsafe { given.write(Given { next, bytes: layout.size(), align: layout.align() }) };
        match to.compare_exchange_weak(next, given, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(newer) => next = newer,
        }
    }
}

// SAFETY: every block is of the pool, and then taken once until it is given back, by a size that its layout tells, or of dlmalloc, and
// then given back to that with its layout.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.is_owners() {
            if let Some(block) = self.take(layout) {
                return block.as_ptr();
            }
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's word.
        unsafe { self.common.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.is_owners() {
            // SAFETY: the caller's word; what was given is of this layout.
            unsafe {
                let block = self.alloc(layout);
                if !block.is_null() {
                    block.write_bytes(0, layout.size());
                }
                return block;
            }
        }
        // SAFETY: the caller's word.
        unsafe { self.common.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match (self.is_in_pool(block), self.is_owners()) {
            (true, true) => self.put_back(block, layout),
            // SAFETY: the caller's word.
            (true, false) => unsafe { hand_over(&self.to_pool, block, layout) },
            (false, true) => unsafe { hand_over(&self.to_common, block, layout) },
            (false, false) => {
                // SAFETY: the caller's word, and that of who handed over.
                unsafe { self.common.dealloc(block, layout) };
                self.empty_common_box();
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let (is_in_pool, owns) = (self.is_in_pool(block), self.is_owners());
        if !is_in_pool && !owns {
            // SAFETY: the caller's word.
            return unsafe { self.common.realloc(block, layout, bytes) };
        }
        let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else { return ptr::null_mut() };
        if is_in_pool && owns && size_of(wanted) == size_of(layout) {
            return block;
        }
        // SAFETY: the caller's word; both are of so many bytes, and one is new.
        unsafe {
            let other = self.alloc(wanted);
            if !other.is_null() {
                ptr::copy_nonoverlapping(block, other, layout.size().min(bytes));
                self.dealloc(block, layout);
            }
            other
        }
    }
}

impl Memory {
    /// Gives back what who has the pool dropped. Of anybody else.
    fn empty_common_box(&self) {
        if self.to_common.load(Ordering::Relaxed).is_null() {
            return;
        }
        let mut next = self.to_common.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(given) = NonNull::new(next) {
            // SAFETY: whoever dropped it wrote a `Given` there; it is dlmalloc's, of this layout, and nobody's.
            unsafe {
                let Given { next: behind, bytes, align } = given.as_ptr().read();
                next = behind;
                if let Ok(layout) = Layout::from_size_align(bytes, align) {
                    self.common.dealloc(given.as_ptr().cast(), layout);
                }
            }
        }
    }
}

/// The memory of this process.
pub static MEMORY: Memory = Memory::new();

/// [`MEMORY`], for `#[global_allocator]`.
pub struct Everywhere;

// SAFETY: that is one.
unsafe impl GlobalAlloc for Everywhere {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's word.
        unsafe { MEMORY.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's word.
        unsafe { MEMORY.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's word.
        unsafe { MEMORY.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's word.
        unsafe { MEMORY.realloc(block, layout, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dice::Dice;
    use std::sync::mpsc;
    use std::thread;

    /// A block with what was written all over it.
    struct Block(*mut u8, Layout, u8);

    // SAFETY: nobody else has it.
    unsafe impl Send for Block {}

    impl Block {
        fn new(memory: &Memory, layout: Layout, mark: u8, zeroed: bool) -> Block {
            // SAFETY: of more than zero bytes.
            unsafe {
                let block = if zeroed { memory.alloc_zeroed(layout) } else { memory.alloc(layout) };
                assert!(!block.is_null() && (block as usize).is_multiple_of(layout.align()));
                if zeroed {
                    assert!(std::slice::from_raw_parts(block, layout.size()).iter().all(|byte| *byte == 0));
                }
                block.write_bytes(mark, layout.size());
                Block(block, layout, mark)
            }
        }

        fn looked_at(&self) {
            // SAFETY: it was written whole.
            let bytes = unsafe { std::slice::from_raw_parts(self.0, self.1.size()) };
            assert!(bytes.iter().all(|byte| *byte == self.2), "somebody else wrote there");
        }

        fn resized(self, memory: &Memory, bytes: usize) -> Block {
            self.looked_at();
            let Block(block, layout, mark) = self;
            // SAFETY: it is of that layout, and not used again.
            unsafe {
                let block = memory.realloc(block, layout, bytes);
                let kept = std::slice::from_raw_parts(block, bytes.min(layout.size()));
                assert!(kept.iter().all(|byte| *byte == mark));
                block.write_bytes(mark, bytes);
                Block(block, Layout::from_size_align(bytes, layout.align()).unwrap(), mark)
            }
        }

        fn drop_in(self, memory: &Memory) {
            self.looked_at();
            // SAFETY: it is of that layout, and not used again.
            unsafe { memory.dealloc(self.0, self.1) };
        }
    }

    fn any_layout(dice: &mut Dice) -> Layout {
        let most = 1 << (1 + dice.below(18));
        let bytes = 1 + dice.below(most);
        Layout::from_size_align(bytes as usize, 1 << (dice.below(7))).unwrap()
    }

    /// Takes, resizes, sends to the other thread and drops what it has, its own and what came.
    fn live(
        memory: &'static Memory,
        pooled: bool,
        seed: u64,
        to: mpsc::Sender<Block>,
        from: mpsc::Receiver<Block>,
    ) {
        let _pooled = pooled.then(|| memory.pool().unwrap());
        let mut dice = Dice::from_number(seed);
        let mut blocks = Vec::new();
        for round in 0..20_000u64 {
            match dice.below(8) {
                0..3 if blocks.len() < 64 => {
                    let layout = any_layout(&mut dice);
                    blocks.push(Block::new(memory, layout, round as u8, dice.below(4) == 0));
                }
                3 if !blocks.is_empty() => {
                    let block = blocks.swap_remove(dice.below(blocks.len() as u64) as usize);
                    let bytes = any_layout(&mut dice).size();
                    blocks.push(block.resized(memory, bytes));
                }
                4 | 5 if !blocks.is_empty() => {
                    let block = blocks.swap_remove(dice.below(blocks.len() as u64) as usize);
                    // The other one may have ended.
                    if let Err(back) = to.send(block) {
                        back.0.drop_in(memory);
                    }
                }
                6 if !blocks.is_empty() => {
                    blocks.swap_remove(dice.below(blocks.len() as u64) as usize).drop_in(memory);
                }
                _ => blocks.extend(from.try_iter().take(4)),
            }
        }
        drop(to);
        blocks.into_iter().chain(from.iter()).for_each(|block| block.drop_in(memory));
    }

    #[test]
    fn blocks_are_one_threads_at_a_time_whoever_drops_them() {
        static MEMORY: Memory = Memory::new();
        for seed in 0..4 {
            let ((to_a, from_b), (to_b, from_a)) = (mpsc::channel(), mpsc::channel());
            let a = thread::spawn(move || live(&MEMORY, true, seed, to_b, from_b));
            let b = thread::spawn(move || live(&MEMORY, false, !seed, to_a, from_a));
            a.join().unwrap();
            b.join().unwrap();
        }
    }

    #[test]
    fn one_has_the_pool_and_what_it_gives_back_is_had_again() {
        static MEMORY: Memory = Memory::new();
        let layout = Layout::from_size_align(100, 8).unwrap();
        let pooled = MEMORY.pool().unwrap();
        assert!(thread::spawn(|| MEMORY.pool().is_none()).join().unwrap());
        let first = Block::new(&MEMORY, layout, 1, false);
        let place = first.0;
        assert!(MEMORY.is_in_pool(place) && MEMORY.touched_bytes() == 128);
        // Another thread drops it, and it is there when there is no other.
        thread::spawn(move || first.drop_in(&MEMORY)).join().unwrap();
        let second = Block::new(&MEMORY, layout, 2, true);
        assert_eq!((second.0, MEMORY.touched_bytes()), (place, 128));
        // Resized within its block it stays, beyond it another one is taken.
        let second = second.resized(&MEMORY, 128);
        assert_eq!(second.0, place);
        let second = second.resized(&MEMORY, 129);
        assert!(second.0 != place && MEMORY.touched_bytes() == 128 + 256);
        second.drop_in(&MEMORY);
        assert_eq!(MEMORY.missed(), 0);
        drop(pooled);
        let common = Block::new(&MEMORY, layout, 3, false);
        assert!(!MEMORY.is_in_pool(common.0), "nobody has it");
        common.drop_in(&MEMORY);
    }

    #[test]
    fn who_finds_the_pool_empty_has_memory_all_the_same() {
        static MEMORY: Memory = Memory::new();
        let _pooled = MEMORY.pool().unwrap();
        let layout = Layout::from_size_align(POOL_BYTES / 16, 16).unwrap();
        let blocks = (0..17).map(|mark| Block::new(&MEMORY, layout, mark, false)).collect::<Vec<_>>();
        assert_eq!(MEMORY.missed(), 1);
        assert_eq!(blocks.iter().filter(|block| MEMORY.is_in_pool(block.0)).count(), 16);
        blocks.into_iter().for_each(|block| block.drop_in(&MEMORY));
        let large = Layout::from_size_align(POOL_BYTES, 16).unwrap();
        Block::new(&MEMORY, large, 9, true).drop_in(&MEMORY);
    }
}
