//! Floor 2, the wing of disks: what a container's model means, whether it is lawful, where its volumes lie, and what
//! the next model is when somebody asks for a change. Nothing here reads or writes.
#![forbid(unsafe_code)]

pub mod alloc;
pub mod check;
pub mod graph;
pub mod lines;
pub mod object;
pub mod plan;
pub mod plugins;
pub mod request;
pub mod room;
pub mod runs;
