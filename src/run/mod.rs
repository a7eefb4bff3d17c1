//! Floor 5: the loops. A command looks at disks, asks the engine, lets the hands carry out what it says, and hands a
//! report up. `look` and `scene` look, `perform` carries out, `change` is one change from finding to report; the other rooms are
//! one family of commands each.
#![forbid(unsafe_code)]

mod abreast;
pub mod activate;
pub mod activity;
mod admission;
pub mod agents;
pub mod ask;
pub mod change;
pub mod check;
pub mod company;
pub mod container;
pub mod context;
pub mod daemon;
pub mod deactivate;
mod deeds;
pub mod deletion;
pub mod disk_beats;
pub mod failure;
pub mod fencing;
pub mod grow;
pub mod history;
pub mod in_use;
pub mod info;
mod inquiry;
pub mod keeper;
pub mod labels;
pub mod leave;
pub mod listing;
pub mod live;
pub mod look;
pub mod members;
pub mod new_ids;
pub mod owner;
pub mod perform;
pub mod raising;
pub mod regain;
pub mod report;
pub mod scene;
pub mod sight;
pub mod strays;
pub mod succession;
pub mod suspend;
pub mod take;
pub mod takeover;
pub mod tenure;
pub mod volume;
pub mod writable;
