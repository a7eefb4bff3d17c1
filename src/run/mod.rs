//! Floor 5: the loops. A command looks at disks, asks the engine, lets the hands carry out what it says, and hands a
//! report up. `scene` looks, `perform` carries out, the other rooms are one verb family each.
#![forbid(unsafe_code)]

pub mod perform;
pub mod scene;
