//! The bench of guests: whole machines under QEMU's software emulation, or ones whose kernel is a process ([`kind`]), with raw
//! disks that they may share, a shell on a serial line, networks that a test may cut, and a power cord that it may pull. No
//! root, no KVM.
//!
//! A test plays a [`scene`](scene::play): a folder with its disks, its guests and what their consoles said, removed
//! when the test passes and kept when it fails.
//!
//! ```no_run
//! use vm_tests::scene;
//!
//! scene::play("example", |scene| {
//!     let disk = scene.disk("a", 64)?.scsi();
//!     let mut guest = scene.guest("one")?.disk(&disk).start()?;
//!     let device = guest.device(&disk)?;
//!     guest.ok(&format!("echo kept | dd of={device} conv=fsync 2>/dev/null"))?;
//!     guest.cut_power()?;
//!     let mut guest = scene.guest("one")?.disk(&disk).start()?;
//!     let device = guest.device(&disk)?;
//!     assert_eq!(guest.ok(&format!("head -n 1 {device}"))?, "kept\n");
//!     Ok(())
//! });
//! ```
//!
//! The rooms, each using only earlier ones: [`limits`], [`trouble`], [`parts`], [`archive`], [`modules`], [`kind`],
//! [`image`], [`nbd`], [`disk`], [`stream`], [`events`], [`dice`], [`fabric`], `wire`, [`network`], [`console`], [`control`],
//! `cord`, [`guest`], [`plan`] with `emulator` and `user_mode`, [`task`], [`tables`], [`udev`], [`fault`], [`clock`], [`san`], [`lio`], [`scene`], [`cases`]. For looking at
//! disks without a guest: [`log_writes`], [`content`], [`states`], [`images`]. What is tried on them: [`steps`], [`work`];
//! and [`volatile`], a disk that forgets when the cord is pulled. Faults by chance:
//! [`script`], for the machines of [`crew`], and [`claims`], what writers say they wrote, who are [`stampers`]; [`trial`] plays
//! them, [`town`] is a cluster that they write in all the time, [`lanes`] many of them beside each other; [`score`] and [`chunks`] are their ledgers.

pub mod archive;
pub mod cases;
pub mod chunks;
pub mod claims;
pub mod clock;
pub mod cluster;
pub mod console;
pub mod content;
pub mod control;
mod cord;
pub mod crew;
pub mod dice;
pub mod disk;
mod emulator;
pub mod events;
pub mod fabric;
pub mod fault;
pub mod guest;
pub mod image;
pub mod images;
pub mod kind;
pub mod lanes;
pub mod limits;
pub mod lio;
pub mod log_writes;
pub mod modules;
pub mod nbd;
pub mod network;
pub mod parts;
pub mod plan;
pub mod san;
pub mod scene;
pub mod score;
pub mod script;
pub mod stampers;
pub mod states;
pub mod steps;
pub mod stream;
pub mod tables;
pub mod task;
pub mod town;
pub mod trial;
pub mod trouble;
pub mod udev;
mod user_mode;
pub mod volatile;
mod wire;
pub mod work;
pub mod writer;
