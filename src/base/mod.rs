//! Floor 0: the words every other room speaks. Units, ids, names, time as an argument, dice from one seed,
//! the limits, and the kinds of failure. No I/O, no clock, no randomness of its own.
#![forbid(unsafe_code)]

pub mod bits;
pub mod dice;
pub mod epoch;
pub mod failure;
pub mod gather;
pub mod hash;
pub mod hex;
pub mod id;
pub mod limits;
pub mod mistake;
pub mod name;
pub mod size;
pub mod small_map;
pub mod small_set;
pub mod sorted;
pub mod time;
pub mod units;
