//! The only place with `unsafe`: calls that the kernel offers and no safe crate wraps, each behind a safe function
//! of a few lines, and a buffer aligned as O_DIRECT wants it.
#![allow(unsafe_code)]

pub mod pool;

use nix::errno::Errno;
use nix::libc;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::base::units::{BLOCK_BYTES, Bytes};

/// The raw ioctls; numbers from `linux/fs.h` and `linux/loop.h`.
mod raw {
    use super::{BtrfsArguments, LoopWords, XfsGeometry, libc};

    nix::ioctl_read!(blkgetsize64, 0x12, 114, libc::size_t);
    nix::ioctl_read_bad!(blksszget, nix::request_code_none!(0x12, 104), libc::c_int);
    nix::ioctl_read_bad!(blkpbszget, nix::request_code_none!(0x12, 123), libc::c_uint);
    nix::ioctl_read_bad!(blkroget, nix::request_code_none!(0x12, 94), libc::c_int);
    nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
    nix::ioctl_write_ptr!(btrfs_resize, 0x94, 3, BtrfsArguments);
    nix::ioctl_read!(xfs_geometry, b'X', 100, XfsGeometry);
    nix::ioctl_write_ptr!(xfs_grow, b'X', 110, [u64; 2]);
    nix::ioctl_readwrite!(watchdog_set_timeout, b'W', 6, libc::c_int);
    nix::ioctl_read!(watchdog_get_timeout, b'W', 7, libc::c_int);
    nix::ioctl_read!(watchdog_get_support, b'W', 0, super::WatchdogInfo);
    nix::ioctl_read_bad!(loop_get_status64, 0x4C05, LoopWords);
}

// BLKGETSIZE64 writes a u64 although its number says `size_t`: this code is for 64-bit machines.
const _: () = assert!(size_of::<libc::size_t>() == size_of::<u64>());

/// `struct loop_info64` as words: device, inode, rdevice, offset, size limit, then what nobody here reads.
type LoopWords = [u64; 29];
const _: () = assert!(size_of::<LoopWords>() == 232);

/// `struct xfs_fsop_geom_v1` as words of 64 bits; evms runs on little-endian machines alone.
type XfsGeometry = [u64; 14];
const _: () = assert!(size_of::<XfsGeometry>() == 112 && cfg!(target_endian = "little"));

/// `struct btrfs_ioctl_vol_args`.
type BtrfsArguments = [u8; 4096];

/// The size of a block device in bytes (BLKGETSIZE64).
pub fn device_size(device: &File) -> Result<Bytes, Errno> {
    let mut size: libc::size_t = 0;
    // SAFETY: `size` outlives the call and the kernel writes exactly eight bytes, which it has (asserted above).
    unsafe { raw::blkgetsize64(device.as_raw_fd(), &mut size) }?;
    Ok(Bytes(size as u64))
}

/// The logical block size of a block device in bytes (BLKSSZGET).
pub fn logical_block(device: &File) -> Result<u32, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: `bytes` outlives the call and the kernel writes exactly one int into it.
    unsafe { raw::blksszget(device.as_raw_fd(), &mut bytes) }?;
    u32::try_from(bytes).map_err(|_| Errno::EINVAL)
}

/// The physical block size of a block device in bytes (BLKPBSZGET).
pub fn physical_block(device: &File) -> Result<u32, Errno> {
    let mut bytes: libc::c_uint = 0;
    // SAFETY: `bytes` outlives the call and the kernel writes exactly one unsigned int into it.
    unsafe { raw::blkpbszget(device.as_raw_fd(), &mut bytes) }?;
    Ok(bytes)
}

/// Does the kernel refuse writes to this block device (BLKROGET)?
pub fn is_read_only(device: &File) -> Result<bool, Errno> {
    let mut flag: libc::c_int = 0;
    // SAFETY: `flag` outlives the call and the kernel writes exactly one int into it.
    unsafe { raw::blkroget(device.as_raw_fd(), &mut flag) }?;
    Ok(flag != 0)
}

/// What lies behind a loop device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopBacking {
    /// The device number of the file system that holds the backing file, as `stat` gives it.
    pub device: u64,
    /// The backing file's inode.
    pub inode: u64,
    /// Bytes of the file that the loop device skips.
    pub offset: Bytes,
}

/// What lies behind an open loop device (LOOP_GET_STATUS64). Ask only devices of the loop driver.
pub fn loop_backing(device: &File) -> Result<LoopBacking, Errno> {
    let mut words: LoopWords = [0; 29];
    // SAFETY: `words` outlives the call; the kernel writes one `struct loop_info64`, 232 bytes, which it has
    // (asserted above), at an alignment of eight; every bit pattern is a value of u64.
    unsafe { raw::loop_get_status64(device.as_raw_fd(), &mut words) }?;
    Ok(LoopBacking { device: words[0], inode: words[1], offset: Bytes(words[3]) })
}

/// Grows the mounted ext2, ext3 or ext4 of this open folder to so many of its own blocks (EXT4_IOC_RESIZE_FS).
pub fn grow_ext(folder: &File, blocks: u64) -> Result<(), Errno> {
    // SAFETY: `blocks` outlives the call and the kernel reads exactly the eight bytes of it.
    unsafe { raw::ext4_resize(folder.as_raw_fd(), &blocks) }.map(drop)
}

/// Grows the mounted btrfs of this open folder to all of its device (BTRFS_IOC_RESIZE).
pub fn grow_btrfs(folder: &File) -> Result<(), Errno> {
    let mut arguments: BtrfsArguments = [0; 4096];
    // `struct btrfs_ioctl_vol_args`: a descriptor that is not looked at, then the word.
    arguments[8..11].copy_from_slice(b"max");
    // SAFETY: `arguments` outlives the call and the kernel reads exactly the 4096 bytes of it.
    unsafe { raw::btrfs_resize(folder.as_raw_fd(), &arguments) }.map(drop)
}

/// Grows the mounted XFS of this open folder to as many whole blocks of its own as `size` has (XFS_IOC_FSGROWFSDATA).
pub fn grow_xfs(folder: &File, size: Bytes) -> Result<(), Errno> {
    let mut geometry: XfsGeometry = [0; 14];
    // SAFETY: `geometry` outlives the call and the kernel writes exactly the 112 bytes of it; every bit pattern is a value.
    unsafe { raw::xfs_geometry(folder.as_raw_fd(), &mut geometry) }?;
    // Eight words of 32 bits come first: the block size, and as the last of them the share that inodes may take, which
    // the kernel wants to be told again or it would change it.
    let (block, inodes_percent) = (geometry[0] as u32, geometry[3] >> 32);
    let blocks = size.0.checked_div(u64::from(block)).ok_or(Errno::EINVAL)?;
    // `struct xfs_growfs_data`: blocks, then the share in 32 bits of which a little-endian word has the low half.
    let arguments = [blocks, inodes_percent];
    // SAFETY: `arguments` outlives the call and the kernel reads exactly the sixteen bytes of it.
    unsafe { raw::xfs_grow(folder.as_raw_fd(), &arguments) }.map(drop)
}

/// Asks device-mapper (ioctl `command` of type 0xfd). `buffer` begins with a `struct dm_ioctl` whose `data_size` is its
/// length, or less.
pub fn dm_ioctl(control: &File, command: u8, buffer: &mut [u8]) -> Result<(), Errno> {
    const HEADER_BYTES: usize = 312;
    const DATA_SIZE_AT: usize = 12;
    let size = buffer.get(DATA_SIZE_AT..DATA_SIZE_AT + 4).and_then(|bytes| bytes.try_into().ok());
    let size = size.map_or(usize::MAX, |bytes| u32::from_ne_bytes(bytes) as usize);
    if buffer.len() < HEADER_BYTES || size > buffer.len() {
        return Err(Errno::EINVAL);
    }
    let request = nix::request_code_readwrite!(0xfd, command, HEADER_BYTES);
    // SAFETY: the kernel reads and writes at most `data_size` bytes from the start of `buffer`, which has them (checked
    // above), and copies byte by byte, so that no alignment is asked.
    Errno::result(unsafe { libc::ioctl(control.as_raw_fd(), request as _, buffer.as_mut_ptr()) }).map(drop)
}

/// The next entries of an open folder as the kernel writes them (`struct linux_dirent64`, one behind the other); how many
/// bytes of `out` they take, zero at the end.
pub fn next_entries(folder: &File, out: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `out.len()` bytes into `out`, which is writable for so many.
    let got = unsafe { libc::syscall(libc::SYS_getdents64, folder.as_raw_fd(), out.as_mut_ptr(), out.len()) };
    Errno::result(got).map(|got| usize::try_from(got).unwrap_or(0))
}

/// Bytes of the stack of a second process, as many as a first one has; only what is touched is ever there.
const SECOND_STACK_BYTES: usize = 8 * 1024 * 1024;

/// What work in a second process came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The exit code.
    pub code: u8,
    /// Are there threads of it that hang in the kernel, and are to go on when it lets go of them?
    pub leaves: bool,
}

/// What a second process is to do, and what that came to. Stands on the first one's stack.
struct Errand<'a> {
    work: &'a mut dyn FnMut() -> Done,
    first: libc::pid_t,
    done: Option<Done>,
}

extern "C" fn second(errand: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `run_beside` gives an Errand that it does not touch before this process has ended; the calls take numbers.
    let errand = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        &mut *errand.cast::<Errand<'_>>()
    };
    // SAFETY: takes no argument, and one number.
    unsafe {
        if libc::getppid() != errand.first {
            libc::_exit(1);
        }
    }
    let done = (errand.work)();
    errand.done = Some(done);
    // SAFETY: all take numbers, and the ends do not come back; nothing of the first process is undone by them. Where threads
    // hang, this one ends alone: to kill them would undo what they are about (a suspend, safety T1).
    unsafe {
        if done.leaves {
            libc::prctl(libc::PR_SET_PDEATHSIG, 0);
            libc::syscall(libc::SYS_exit, libc::c_int::from(done.code));
        }
        libc::_exit(done.code.into())
    }
}

/// Has a second process do `work` in this one's memory, while this one stands still until that is over or killed: its
/// number, and what `work` came to. A thread that `work` leaves hanging in the kernel keeps the second process from going,
/// and not this one. Call it while there is one thread. Afterwards this process may do nothing but end: the other may have
/// been killed in the middle of anything, with the allocator's lock in its hand.
///
/// Ctrl-Z and its like do nothing from now on: they would stop the second process alone, and the shell would not know.
pub fn run_beside(work: &mut dyn FnMut() -> Done) -> Result<(i32, Option<Done>), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: asks for new memory at no place of ours.
    let stack = unsafe { libc::mmap(core::ptr::null_mut(), SECOND_STACK_BYTES, access, flags, -1, 0) };
    if stack == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the lowest page of what was just given: who runs over the stack ends there. `getpid` takes nothing.
    let first = unsafe {
        libc::mprotect(stack, BLOCK_BYTES as usize, libc::PROT_NONE);
        libc::getpid()
    };
    block_stops();
    let mut errand = Errand { work, first, done: None };
    // SAFETY: the stack grows down from the end of the mapping, which stays for good (a thread left behind may be the last
    // to use this memory). Memory is shared, and the kernel keeps this thread from running until the second process ends
    // (CLONE_VFORK), so nothing is used by both at a time, thread-local values included; there is no other thread here.
    let child = unsafe {
        libc::clone(
            second,
            stack.add(SECOND_STACK_BYTES),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut errand).cast(),
        )
    };
    Errno::result(child).map(|child| (child, errand.done))
}

/// Has the signals of a terminal that stop a process wait until it ends.
fn block_stops() {
    // SAFETY: a zeroed set of signals is a value of it; every call gets pointers to it that outlive the call.
    unsafe {
        let mut set: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, core::ptr::null_mut());
    }
}

/// Starts a thread that nobody waits for. Not the library's way, which brings a name, a second stack for signals and memory
/// of another allocator: a third of what a thread costs, and a short command is not much more than one.
pub fn start_thread(stack_bytes: usize, life: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
    let life: Box<Life> = Box::new(Box::new(life));
    let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = core::mem::MaybeUninit::<libc::pthread_t>::uninit();
    let life = Box::into_raw(life);
    // SAFETY: `attributes` is made before it is used and not used behind its end; both outlive the calls. The thread gets
    // `life` for itself: nobody else has it, what it captures may go to another thread and borrows nothing (Send, 'static).
    let code = unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack_bytes);
        libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
        let code = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), begin_thread, life.cast());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        code
    };
    if code == 0 {
        return Ok(());
    }
    // SAFETY: no thread was made, so this is still the only pointer to it.
    drop(unsafe { Box::from_raw(life) });
    Err(Errno::from_raw(code))
}

/// What a thread does. Boxed twice: the pointer that the kernel hands on has no room for a second word.
type Life = Box<dyn FnOnce() + Send>;

extern "C" fn begin_thread(life: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `start_thread` gave a box of this very type away, to this thread alone. (A panic ends the process: it cannot
    // leave this function.)
    let life = unsafe { Box::from_raw(life.cast::<Life>()) };
    life();
    core::ptr::null_mut()
}

/// Starts this very program once more, by these words; the process. It has all descriptors that may be handed on.
pub fn start_again(words: &[&CStr]) -> Result<i32, Errno> {
    let mut arguments = words.iter().map(|word| word.as_ptr().cast_mut()).collect::<Vec<_>>();
    arguments.push(core::ptr::null_mut());
    let environment = [core::ptr::null_mut()];
    let mut child = 0;
    // SAFETY: all of it outlives the call, both lists end with a null, and nothing of them is written: they are `*mut` by custom.
    let code = unsafe {
        libc::posix_spawn(
            &mut child,
            c"/proc/self/exe".as_ptr(),
            core::ptr::null(),
            core::ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    if code == 0 { Ok(child) } else { Err(Errno::from_raw(code)) }
}

/// Starts a program in a group of processes of its own, by no words but its path, with this environment, these as its standard input and
/// output, and no signal blocked or ignored. (Not the library's way, which is as long as all that is called.)
pub fn start_in_group(
    program: &CStr,
    environment: &[&CStr],
    input: &impl AsRawFd,
    output: &impl AsRawFd,
) -> Result<i32, Errno> {
    let words = [program.as_ptr().cast_mut(), core::ptr::null_mut()];
    let mut surroundings = environment.iter().map(|one| one.as_ptr().cast_mut()).collect::<Vec<_>>();
    surroundings.push(core::ptr::null_mut());
    let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
    let mut child = 0;
    // SAFETY: a zeroed attribute, list of actions or set of signals is a place for a value of it, which is made before it is used and not
    // used behind its end; all that is pointed to outlives the calls, both lists end with a null, and nothing of them is written.
    let code = unsafe {
        let mut attributes: libc::posix_spawnattr_t = core::mem::zeroed();
        let mut actions: libc::posix_spawn_file_actions_t = core::mem::zeroed();
        let mut set: libc::sigset_t = core::mem::zeroed();
        libc::posix_spawnattr_init(&mut attributes);
        libc::posix_spawn_file_actions_init(&mut actions);
        libc::sigemptyset(&mut set);
        libc::posix_spawnattr_setsigmask(&mut attributes, &set);
        libc::sigaddset(&mut set, libc::SIGPIPE);
        libc::posix_spawnattr_setsigdefault(&mut attributes, &set);
        libc::posix_spawnattr_setpgroup(&mut attributes, 0);
        libc::posix_spawnattr_setflags(&mut attributes, flags as libc::c_short);
        for (from, to) in [(input.as_raw_fd(), 0), (output.as_raw_fd(), 1), (output.as_raw_fd(), 2)] {
            libc::posix_spawn_file_actions_adddup2(&mut actions, from, to);
        }
        let code = libc::posix_spawn(
            &mut child,
            program.as_ptr(),
            &actions,
            &attributes,
            words.as_ptr(),
            surroundings.as_ptr(),
        );
        libc::posix_spawn_file_actions_destroy(&mut actions);
        libc::posix_spawnattr_destroy(&mut attributes);
        code
    };
    if code == 0 { Ok(child) } else { Err(Errno::from_raw(code)) }
}

/// Waits until a child has ended: its exit code, or the signal that ended it.
pub fn how_it_ended(child: i32) -> Result<i32, i32> {
    let mut status = 0;
    // SAFETY: `status` outlives the call, which writes one int into it.
    while unsafe { libc::waitpid(child, &mut status, 0) } == -1 && Errno::last() == Errno::EINTR {}
    if libc::WIFEXITED(status) { Ok(libc::WEXITSTATUS(status)) } else { Err(libc::WTERMSIG(status)) }
}

/// Has a child of this process ended, and by itself with code 0? Nothing while it lives; asked once too often it ended otherwise.
pub fn ended_well(child: i32) -> Option<bool> {
    let mut status = 0;
    // SAFETY: `status` outlives the call, which writes one int into it.
    match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } {
        0 => None,
        pid => Some(pid == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0),
    }
}

/// Waits until a child has ended.
pub fn wait_for_child(child: i32) {
    let mut status = 0;
    // SAFETY: `status` outlives the call, which writes one int into it.
    while unsafe { libc::waitpid(child, &mut status, 0) } == -1 && Errno::last() == Errno::EINTR {}
}

/// A descriptor that has something to be read when this child has ended, which stays a child that nobody waited for until then.
pub fn life_of(child: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes two numbers; what comes back is a new descriptor that nobody else has, or none.
    unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(child), 0);
        let descriptor = Errno::result(descriptor)?;
        let descriptor = i32::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// Ends this process here and now: nothing is flushed, freed or dropped.
pub fn end_at_once(code: u8) -> ! {
    // SAFETY: takes one number and does not come back.
    unsafe { libc::_exit(code.into()) }
}

/// Goes on by itself: out of the caller's session and group of processes, and deaf to the signals that end a terminal, a
/// script or a unit. What is left to do would be undone by them (a suspend that is killed lets I/O through, safety T1).
pub fn outlive_the_caller() {
    // SAFETY: takes nothing, or numbers and a constant that is no handler; touches no memory of ours.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Keeps all of this process in memory from now on: what it is about to stop may be the disk that its own pages come from.
/// Refused where memory is short; then it goes on as it is.
pub fn lock_memory() {
    // SAFETY: takes a number.
    unsafe { libc::mlockall(libc::MCL_CURRENT) };
}

/// Lets go of what this process was given to read from and to write to, and of the folder that it was started in.
pub fn close_standard() {
    // SAFETY: takes constants; what is behind the descriptors afterwards takes and gives nothing.
    unsafe {
        let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for fd in 0..3 {
            libc::dup2(nothing, fd);
        }
        if nothing > 2 {
            libc::close(nothing);
        }
        libc::chdir(c"/".as_ptr());
    }
}

/// Descriptors that are looked at when all but devices are closed.
const DESCRIPTORS_MAX: libc::rlim_t = 1 << 16;

/// Closes every descriptor but those of block devices, and of device-mapper and its like: what a thread that hangs may
/// still work with. Whoever waits for the end of a pipe that this process was given sees it now.
pub fn close_all_but_devices() {
    const MISC_MAJOR: u32 = 10;
    // SAFETY: the structures are plain numbers, for which zeroes are values, and outlive the calls that write them; what is
    // closed belongs to threads that nobody hears any more, and who uses it afterwards is told EBADF.
    unsafe {
        let mut limit: libc::rlimit = core::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        for fd in 0..limit.rlim_cur.min(DESCRIPTORS_MAX) as libc::c_int {
            let mut stat: libc::stat = core::mem::zeroed();
            if libc::fstat(fd, &mut stat) != 0 {
                continue;
            }
            let kind = stat.st_mode & libc::S_IFMT;
            let misc = kind == libc::S_IFCHR && libc::major(stat.st_rdev) as u32 == MISC_MAJOR;
            if kind != libc::S_IFBLK && !misc {
                libc::close(fd);
            }
        }
    }
}

/// A new System V semaphore under this key, readable and writable by root alone; EEXIST when the key is taken.
pub fn new_semaphore(key: i32) -> Result<i32, Errno> {
    // SAFETY: takes three integers and touches no memory of ours.
    Errno::result(unsafe { libc::semget(key, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) })
}

/// Adds to a semaphore (one, or minus one); never waits.
pub fn add_to_semaphore(id: i32, by: i16) -> Result<(), Errno> {
    let mut step = libc::sembuf { sem_num: 0, sem_op: by, sem_flg: libc::IPC_NOWAIT as i16 };
    // SAFETY: `step` outlives the call, which reads exactly the one operation that is announced.
    Errno::result(unsafe { libc::semop(id, &mut step, 1) }).map(drop)
}

/// Waits until a semaphore is zero, at most so long; EAGAIN when the time is over.
pub fn wait_for_zero(id: i32, limit: std::time::Duration) -> Result<(), Errno> {
    let mut step = libc::sembuf { sem_num: 0, sem_op: 0, sem_flg: 0 };
    let seconds = limit.as_secs().try_into().map_err(|_| Errno::EINVAL)?;
    let limit = libc::timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() };
    // SAFETY: `step` and `limit` outlive the call, which reads one operation and one time. No wrapper has it everywhere.
    let done = unsafe { libc::syscall(libc::SYS_semtimedop, id, &raw mut step, 1usize, &raw const limit) };
    Errno::result(done).map(drop)
}

/// Takes a semaphore away.
pub fn remove_semaphore(id: i32) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no further argument and touches no memory of ours.
    Errno::result(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

/// Pages of a file, seen by this process and by whoever maps the file after it; never swapped out.
pub struct SharedPages {
    start: core::ptr::NonNull<u8>,
    bytes: usize,
}

// SAFETY: the pages belong to this value alone within the process; it may go to another thread as a whole.
unsafe impl Send for SharedPages {}

impl SharedPages {
    /// Maps the first `bytes` of an open file, which has them (or reading would be answered by SIGBUS): asked here.
    pub fn map(file: &File, bytes: usize) -> Result<SharedPages, Errno> {
        let has = file.metadata().map_err(|_| Errno::EIO)?.len();
        if bytes == 0 || has < bytes as u64 {
            return Err(Errno::EINVAL);
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let nowhere = core::ptr::null_mut();
        // SAFETY: asks for new memory at no place of ours, over an open file.
        let start = unsafe { libc::mmap(nowhere, bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let start = core::ptr::NonNull::new(start.cast::<u8>()).ok_or(Errno::EFAULT)?;
        // SAFETY: exactly the memory that was mapped. Where it may not be locked, it may be swapped out.
        unsafe { libc::mlock(start.as_ptr().cast(), bytes) };
        Ok(SharedPages { start, bytes })
    }

    /// A copy of all of it.
    pub fn read(&self) -> Vec<u8> {
        let mut copy = vec![0; self.bytes];
        // SAFETY: both have `bytes` bytes and are not the same memory. Another process may write meanwhile: the copy is bytes
        // of which any may be wrong, as of any file.
        unsafe { core::ptr::copy_nonoverlapping(self.start.as_ptr(), copy.as_mut_ptr(), self.bytes) };
        copy
    }

    /// Writes there, if it is inside.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), Errno> {
        if at.checked_add(bytes.len()).is_none_or(|end| end > self.bytes) {
            return Err(Errno::ENOSPC);
        }
        // SAFETY: from `at` on there are so many bytes (asked above), mapped as long as `self` is.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len()) };
        Ok(())
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        // SAFETY: exactly the memory that was mapped, used by nobody any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Words of eight bytes in a file that other processes map too, for as long as this process lives. Where they are not `writable`,
/// to store there ends the process.
pub fn shared_words<const COUNT: usize>(
    file: &File,
    at: usize,
    writable: bool,
) -> Result<&'static [core::sync::atomic::AtomicU64; COUNT], Errno> {
    let bytes = size_of::<[core::sync::atomic::AtomicU64; COUNT]>();
    let has = file.metadata().map_err(|_| Errno::EIO)?.len();
    if !at.is_multiple_of(size_of::<u64>()) || has < (at + bytes) as u64 {
        return Err(Errno::EINVAL);
    }
    let access = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    let nowhere = core::ptr::null_mut();
    // SAFETY: asks for new memory at no place of ours, over an open file.
    let start = unsafe { libc::mmap(nowhere, at + bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: exactly the memory that was mapped. Where it may not be locked, it may be swapped out.
    unsafe { libc::mlock(start, at + bytes) };
    // SAFETY: inside of what was mapped (asked above), aligned as pages are and `at` is, and never unmapped.
    Ok(unsafe { &*start.cast::<u8>().add(at).cast::<[core::sync::atomic::AtomicU64; COUNT]>() })
}

/// Sets a watchdog's timeout; gives the one that its driver took (WDIOC_SETTIMEOUT), in seconds.
pub fn set_watchdog(device: &File, seconds: i32) -> Result<i32, Errno> {
    let mut seconds: libc::c_int = seconds;
    // SAFETY: `seconds` outlives the call, and the kernel reads and writes exactly one int.
    unsafe { raw::watchdog_set_timeout(device.as_raw_fd(), &mut seconds) }?;
    Ok(seconds)
}

/// What a watchdog's driver is, `struct watchdog_info` of linux/watchdog.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchdogInfo {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

/// WDIOF_MAGICCLOSE.
const WATCHDOG_MAGIC_CLOSE: u32 = 0x100;

/// Does a watchdog go on when it is closed without a word (WDIOC_GETSUPPORT)?
pub fn watchdog_wants_word(device: &File) -> Result<bool, Errno> {
    let mut info = WatchdogInfo::default();
    // SAFETY: the descriptor is open, and `info` outlives the call, which fills it.
    unsafe { raw::watchdog_get_support(device.as_raw_fd(), &mut info) }?;
    Ok(info.options & WATCHDOG_MAGIC_CLOSE != 0)
}

/// A watchdog's timeout (WDIOC_GETTIMEOUT), in seconds.
pub fn watchdog_timeout(device: &File) -> Result<i32, Errno> {
    let mut seconds: libc::c_int = 0;
    // SAFETY: `seconds` outlives the call, and the kernel writes exactly one int.
    unsafe { raw::watchdog_get_timeout(device.as_raw_fd(), &mut seconds) }?;
    Ok(seconds)
}

/// Waits until somebody rings at a word that other processes map too ([`wake_all_at`]), at most so long; not at all when it does not
/// stand at `seen` any more. The kernel compares 32 bits, the low ones.
pub fn wait_at(word: &core::sync::atomic::AtomicU64, seen: u64, limit: std::time::Duration) {
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(i32::MAX.into()),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: `word` and `limit` outlive the call; the kernel reads four bytes of one and the whole of the other. It comes back for
    // any reason: who waits looks again.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen as u32, &raw const limit) };
}

/// Wakes all who wait at a word.
pub fn wake_all_at(word: &core::sync::atomic::AtomicU64) {
    // SAFETY: only the address is looked at.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// All memory of this process, what it will have too, stays where it is (mlockall).
pub fn lock_all_memory() -> Result<(), Errno> {
    // SAFETY: takes a number.
    Errno::result(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) }).map(drop)
}

/// This thread runs before all that are not so urgent (SCHED_RR). What it starts does not inherit that.
pub fn run_first(priority: i32) -> Result<(), Errno> {
    // SAFETY: all zeroes is a value of it, in every C library (musl's has fields that nobody reads).
    let mut wanted: libc::sched_param = unsafe { core::mem::zeroed() };
    wanted.sched_priority = priority;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `wanted` outlives the call. musl's own function only says that it cannot: the kernel is asked.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const wanted) })
        .map(drop)
}

/// Sets an option of a socket whose value is one int.
pub fn set_option(socket: i32, level: i32, option: i32, value: libc::c_int) -> Result<(), Errno> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` outlives the call, and the kernel reads exactly one int of it.
    let code = unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), length) };
    Errno::result(code).map(drop)
}

/// Fills `out` from the kernel's generator; waits once, early in boot, until that is seeded.
pub fn fill_random(out: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < out.len() {
        let rest = &mut out[done..];
        // SAFETY: `rest` is writable for the `rest.len()` bytes that are given as the most to write.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match Errno::result(got) {
            Ok(got) => done += got.unsigned_abs(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[derive(Clone)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES as usize]);

const _: () = assert!(size_of::<Block>() as u64 == BLOCK_BYTES && align_of::<Block>() as u64 == BLOCK_BYTES);

/// Whole blocks of memory, aligned to 4096 and zeroed: what O_DIRECT reads into and writes from.
pub struct AlignedBuffer {
    blocks: Vec<Block>,
}

impl AlignedBuffer {
    /// At least `bytes` zero bytes, rounded up to whole blocks.
    pub fn zeroed(bytes: usize) -> Self {
        Self { blocks: vec![Block([0; BLOCK_BYTES as usize]); bytes.div_ceil(size_of::<Block>())] }
    }

    /// A copy of `data`, with zeroes up to the end of its last block.
    pub fn copy_of(data: &[u8]) -> Self {
        let mut buffer = Self::zeroed(data.len());
        buffer.bytes_mut()[..data.len()].copy_from_slice(data);
        buffer
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a Block is 4096 bytes without padding and lies in the Vec without gaps; the slice borrows `self`.
        unsafe {
            core::slice::from_raw_parts(self.blocks.as_ptr().cast(), size_of_val(self.blocks.as_slice()))
        }
    }

    /// The bytes, for change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes = size_of_val(self.blocks.as_slice());
        // SAFETY: as in `bytes`, and `self` is borrowed for change, so no other slice of it lives.
        unsafe { core::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::mpsc;

    #[test]
    fn a_second_process_works_in_this_memory() {
        let mut seen = 0;
        let first = std::process::id();
        let done = Done { code: 7, leaves: false };
        let (child, said) = run_beside(&mut || {
            seen = nix::unistd::getpid().as_raw();
            done
        })
        .unwrap();
        assert_eq!((seen, said), (child, Some(done)));
        assert_ne!(child as u32, first);
        wait_for_child(child);
    }

    #[test]
    fn a_second_process_that_is_killed_gives_nothing() {
        let (child, said) = run_beside(&mut || {
            nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::SIGKILL).unwrap();
            Done { code: 0, leaves: false }
        })
        .unwrap();
        assert_eq!(said, None);
        wait_for_child(child);
    }

    /// A thread that waits for something that does not come, until it does: this process went on meanwhile, and the thread
    /// was not killed.
    #[test]
    fn a_thread_that_is_left_behind_goes_on_later() {
        let (release, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let mut thread = Some(move || {
            let _ = held.recv();
            let _ = tell.send(nix::unistd::getpid().as_raw());
        });
        let (child, said) = run_beside(&mut || {
            let life = thread.take().unwrap();
            std::mem::forget(std::thread::spawn(life));
            Done { code: 3, leaves: true }
        })
        .unwrap();
        assert_eq!(said, Some(Done { code: 3, leaves: true }));
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty), "it waits still");
        release.send(()).unwrap();
        assert_eq!(told.recv(), Ok(child), "in the second process");
        wait_for_child(child);
    }

    #[test]
    fn buffers_are_aligned_zeroed_and_whole_blocks() {
        for (asked, got) in [(0, 0), (1, 4096), (4096, 4096), (4097, 8192)] {
            let buffer = AlignedBuffer::zeroed(asked);
            assert_eq!(buffer.bytes().len(), got);
            assert_eq!(buffer.bytes().as_ptr() as usize % 4096, 0);
            assert!(buffer.bytes().iter().all(|&byte| byte == 0));
        }
        let mut copy = AlignedBuffer::copy_of(b"abc");
        copy.bytes_mut()[1] = b'x';
        assert_eq!(&copy.bytes()[..4], b"axc\0");
    }

    #[test]
    fn a_thread_lives_with_what_it_was_given() {
        let (tell, told) = std::sync::mpsc::channel();
        let name = String::from("given");
        start_thread(64 * 1024, move || tell.send((name, std::thread::current().id())).unwrap()).unwrap();
        let (name, id) = told.recv().unwrap();
        assert_eq!((name.as_str(), id == std::thread::current().id()), ("given", false));
        // What no thread was made for is dropped: the other end hears that.
        let (tell, told) = std::sync::mpsc::channel::<()>();
        assert!(start_thread(usize::MAX / 4, move || drop(tell)).is_err());
        assert!(told.recv().is_err());
    }

    #[test]
    fn a_file_is_no_block_device() {
        let file = File::open("/proc/self/status").unwrap();
        assert_eq!(device_size(&file), Err(Errno::ENOTTY));
        assert!(
            is_read_only(&file).is_err() && logical_block(&file).is_err() && physical_block(&file).is_err()
        );
        assert!(loop_backing(&file).is_err());
    }
}
