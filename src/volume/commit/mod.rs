//! Committing a container's model (safety section 2), as machines without hands: they ask for reads, writes and
//! flushes, hear the answers, and end in a verdict. The same code runs over image files, devices and the crash model.
//!
//! An *opening* is a Disk-Paxos round: survey, promise, survey again, decide, accept. A *commit* is the accept part
//! alone, under an epoch already held. A disk *holds* a commit when both its ends do: primary first, flushed and read
//! back, then a look for rivals, then the secondary. Two ends, because a writer that was outbid while one write of it
//! was under way can destroy one copy per disk, and the other must survive it (`ARCHITECTURE.md`, "One stale write").

mod accept;
pub mod io;
mod labels;
mod lane;
mod opening;
mod session;
pub mod stamp;

pub use accept::{Doubt, Verdict};
pub use labels::{Labels, NewId};
pub use lane::{Holding, Lane, LaneState, Member};
pub use opening::{Me, Need, Opening, Unopened};
pub use session::{Commit, Session};
