//! Floor 2, the wing of packets: who lives, who agrees with whom, and whether this node may act at all (safety section 1).
//! Pure: time, dice and what was heard come in; beats and decisions go out. Whoever owns sockets and clocks is above.
//!
//! `beat` is what nodes tell each other every tenth of a second. `hearing` keeps what was heard and judges who is heard;
//! `clique` chooses among all who are heard those who hear each other; `membership` turns that choice into views on which
//! all members agree; `lease` is the quorum, and the promises that make it one; `arbiter` decides where two halves are equal.
#![forbid(unsafe_code)]

pub mod arbiter;
pub mod beat;
pub mod clique;
pub mod configuration;
pub mod hearing;
pub mod lease;
pub mod membership;
pub mod mistake;
pub mod node_set;
pub mod timing;
pub mod view;
