//! Floor 2, the wing of disks: what stands on them, which copy counts, what a container's model means and whether it is
//! lawful, what the next model is when somebody asks for a change, and how that becomes a commit. Nothing here reads
//! or writes.
#![forbid(unsafe_code)]

pub mod alloc;
pub mod check;
pub mod choose;
pub mod commit;
pub mod discover;
pub mod graph;
pub mod lines;
pub mod mistake;
pub mod object;
pub mod plan;
pub mod plugins;
pub mod request;
pub mod room;
pub mod runs;
pub mod stack;
pub mod votes;
