//! Floor 2, the wing of packets: who lives, who agrees with whom, and whether this node may act at all (safety section 1).
//! Pure: time, dice and what was heard come in; beats and decisions go out. Whoever owns sockets and clocks is above.
//!
//! `beat` is what nodes tell each other every tenth of a second. `hearing` keeps what was heard and judges who is heard, and `rival` whether two boots of one node live;
//! `clique` chooses among all who are heard those who hear each other; `membership` turns that choice into views on which
//! all members agree; `lease` is the quorum, and the promises that make it one. `transport` brings messages from one session to
//! another, whole and in order, whatever the links do. `arbiter` decides where two halves are equal.
#![forbid(unsafe_code)]

pub mod accord;
pub mod arbiter;
pub mod beat;
pub mod channel;
pub mod chronicle;
pub mod clique;
pub mod configuration;
pub mod detector;
pub mod hearing;
pub mod keys;
pub mod lease;
pub mod link;
pub mod membership;
pub mod mistake;
pub mod node_set;
pub mod parts;
pub mod replay;
pub mod rival;
pub mod roster;
pub mod sealing;
pub mod status;
pub mod stillness;
pub mod timing;
pub mod token;
pub mod transport;
pub mod view;
