//! Floor 4, the hands: they carry out one command and report what happened. They never decide, never retry and
//! never guess; whoever asks them has already decided (the engine), and hears every failure as a typed error
//! with the path, the place and the reason in it.
//!
//! - `disk` opens, reads, writes and flushes one disk or image (`blocks`, `disk_open`, `disk_bare`, `disk_error`,
//!   `worker` belong to it);
//! - `crew` does many jobs of which any may hang, by as few threads as will do;
//! - `sysfs` and `mounts` say which disks the machine has and what holds them, without opening any;
//! - `folder` lists names for both;
//! - `dm` makes, loads, stops and removes device-mapper devices (`dm::wire` has their bytes);
//! - `openers` says which processes have a device open;
//! - `file_system` grows what is mounted;
//! - `udev` waits for udevd with a limit, `nodes` keeps `/dev/evms`, `turn` says who changes it and its devices now;
//! - `identity` says who this machine is; `clock` and `entropy` bring in time and seeds at the door;
//! - `front` lets a command end though a disk hangs, `stragglers` knows whether a thread was left with one;
//! - `udp` sends and receives on one network; `run_dir` holds what a daemon leaves to the next one of its boot;
//! - `door` is where a daemon is asked, `secret` reads and makes its files, `journal` is its log, `notify` tells a service
//!   manager how it is, `stops` are the signals that end it, `bell` and `wait` wake its threads;
//! - `lease_page` and `gate_page` are what evmsd, its keeper and commands have in common; `gate_hand` closes and opens one gate,
//!   `watchdog` is fed, `keeper_process` starts who does both; `beat_note` says how disks take beats;
//! - `sys` is the only room with `unsafe`; `sys::pool` is the detector's memory.

pub mod agent;
pub mod beat_note;
pub mod bell;
pub mod blocks;
pub mod board_clock;
pub mod clock;
pub mod crew;
pub mod device;
pub mod disk;
pub mod disk_bare;
pub mod disk_error;
pub mod disk_kind;
mod disk_open;
pub mod dm;
pub mod door;
pub mod entropy;
pub mod fence_note;
pub mod file_system;
mod folder;
pub mod footing;
pub mod front;
pub mod gate_hand;
pub mod gate_page;
pub mod identity;
pub mod interface;
pub mod journal;
pub mod keeper_process;
pub mod lease_page;
pub mod meant_up;
pub mod mounts;
pub mod nodes;
pub mod notify;
pub mod openers;
pub mod pending;
pub mod run_dir;
pub mod secret;
pub mod stops;
pub mod stragglers;
pub mod sys;
pub mod sysfs;
pub mod turn;
pub mod udev;
pub mod udp;
pub mod wait;
pub mod watchdog;
pub mod worker;
