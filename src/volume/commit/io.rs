//! What the protocol asks of disks and what it hears back. It never touches one: the same machine runs over images,
//! over devices, and in the crash model.

use std::sync::Arc;

use crate::base::units::Bytes;

/// Why something is written; the guard decides by this which permit it needs, the crash model which area it may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// This node's own block.
    OwnBlock,
    /// A model's slot.
    Slot,
    /// A record of the history ring.
    History,
    /// Metadata areas of a disk that joins, made blank.
    Blank,
    /// A label or the first block.
    Label,
    /// The intent record.
    Intent,
}

impl Purpose {
    /// For people, in a dry run.
    pub fn words(self) -> &'static str {
        match self {
            Purpose::OwnBlock => "this node's own block",
            Purpose::Slot => "model",
            Purpose::History => "history record",
            Purpose::Blank => "metadata made blank",
            Purpose::Label => "label",
            Purpose::Intent => "intent record",
        }
    }
}

/// One thing to do on one disk. Offsets and lengths are multiples of 4096.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read past every cache.
    Read {
        /// From where.
        at: Bytes,
        /// How many bytes.
        length: u64,
    },
    /// Write; it may tear at every 4096 bytes until flushed.
    Write {
        /// To where.
        at: Bytes,
        /// What.
        bytes: Arc<[u8]>,
        /// Why.
        purpose: Purpose,
    },
    /// Make all writes before it durable.
    Flush,
    /// Deliberate mistake for the crash model: read whatever some cache remembers.
    #[cfg(feature = "mistakes")]
    BufferedRead {
        /// From where.
        at: Bytes,
        /// How many bytes.
        length: u64,
    },
}

/// One thing asked of one lane; the next comes only after the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which lane: the place of the disk in the list that the machine was made with.
    pub lane: usize,
    /// What to do.
    pub op: Op,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The bytes read.
    Read(Vec<u8>),
    /// Written or flushed.
    Done,
    /// The disk failed or did not answer in time. Whether a write landed is unknown.
    Failed,
}
