//! What stands in front of every datagram, in clear but under the seal: enough to find the key, to name a foreign cluster
//! and to drop what is not ours before anything costs much.
//!
//! ```text
//! offset bytes what
//!      0     4 magic "EVMW"
//!      4     1 wire version
//!      5     1 kind: 1 greeting, 2 to all, 3 to one
//!      6     2 key: the first bytes of what is derived from it under "name"
//!      8     2 sender's node id
//!     10     1 sender's epoch towards the receiver; zero in what is not to one
//!     11     1 receiver's epoch, as the sender knows it; the same
//!     12     4 cluster: the first bytes of its id
//!     16     4 sender's session: the first bytes of its tag
//!     20     4 receiver's session; zero when it is not known or when it is to all
//!     24     8 counter: never twice under one key
//! ```
//! Numbers are little-endian. Behind it: in a greeting the sixteen bytes of the sender's tag, in clear; then what is
//! encrypted; then sixteen bytes of seal over all before it.

use crate::base::id::{ClusterId, NodeId};
use crate::format::cursor::{Reader, Writer};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a seal.
pub const SEAL_BYTES: usize = 16;
/// Bytes of a session's tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of a datagram that every path is believed to carry: 1280 of IPv6's least, less its headers and UDP's.
pub const DATAGRAM_BYTES: usize = 1232;
/// Bytes of the largest datagram that is ever sent or read: what a path of 9000 carries.
pub const DATAGRAM_BYTES_MAX: usize = 8972;
/// Bytes that a datagram of the believed size has for what it carries.
pub const PAYLOAD_BYTES: usize = DATAGRAM_BYTES - HEADER_BYTES - SEAL_BYTES;

const MAGIC: &[u8; 4] = b"EVMW";
/// The only version of frames there is. What may follow stands in greetings, as a range.
pub const VERSION: u8 = 1;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Two sessions get to know each other.
    Greeting,
    /// The same bytes to all nodes.
    ToAll,
    /// To one session.
    ToOne,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Greeting => 1,
            Kind::ToAll => 2,
            Kind::ToOne => 3,
        }
    }

    fn of(code: u8) -> Option<Kind> {
        [Kind::Greeting, Kind::ToAll, Kind::ToOne].into_iter().find(|kind| kind.code() == code)
    }
}

/// What tells a cluster from others in clear: the first bytes of its id. Only for people, nothing is believed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterTag(pub [u8; 4]);

impl From<ClusterId> for ClusterTag {
    fn from(cluster: ClusterId) -> ClusterTag {
        let [a, b, c, d, ..] = cluster.0;
        ClusterTag([a, b, c, d])
    }
}

impl core::fmt::Display for ClusterTag {
    /// As the first eight hex digits of its id.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// By which key it is sealed.
    pub key: [u8; 2],
    /// Who says that he sent it.
    pub sender: NodeId,
    /// Of which cluster.
    pub cluster: ClusterTag,
    /// The beginning of the sender's tag.
    pub session: [u8; 4],
    /// The beginning of the receiver's tag, or zero.
    pub to_session: [u8; 4],
    /// How often the sender began anew with the receiver in this session, and the receiver with it: modulo 256.
    pub epochs: (u8, u8),
    /// Never twice under one key.
    pub counter: u64,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFrame {
    /// Shorter than a header and a seal, or longer than any.
    Length(usize),
    /// Something else is sent to this port.
    Magic,
    /// A wire version that this program does not know.
    Version(u8),
    /// A kind that it does not know, or something in reserved bytes.
    Kind(u8),
}

impl Header {
    /// The bytes of it.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut writer = Writer::with_room(HEADER_BYTES);
        writer.bytes(MAGIC).u8(VERSION).u8(self.kind.code()).bytes(&self.key).u16(self.sender.0);
        writer.u8(self.epochs.0).u8(self.epochs.1);
        writer.bytes(&self.cluster.0).bytes(&self.session).bytes(&self.to_session).u64(self.counter);
        // The fields above are exactly so many bytes: a test holds it.
        writer.finish().try_into().unwrap_or([0; HEADER_BYTES])
    }

    /// A header and what stands behind it.
    pub fn decode(datagram: &[u8]) -> Result<(Header, &[u8]), NoFrame> {
        if datagram.len() < HEADER_BYTES + SEAL_BYTES || datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(NoFrame::Length(datagram.len()));
        }
        let mut reader = Reader::new(datagram);
        let short = NoFrame::Length(datagram.len());
        if reader.array() != Some(*MAGIC) {
            return Err(NoFrame::Magic);
        }
        let version = reader.u8().ok_or(short)?;
        if version != VERSION {
            return Err(NoFrame::Version(version));
        }
        let code = reader.u8().ok_or(short)?;
        let kind = Kind::of(code).ok_or(NoFrame::Kind(code))?;
        let header = Header::fields(kind, &mut reader).ok_or(NoFrame::Kind(code))?;
        Ok((header, reader.rest()))
    }

    fn fields(kind: Kind, reader: &mut Reader<'_>) -> Option<Header> {
        let (key, sender, epochs) = (reader.array()?, NodeId(reader.u16()?), (reader.u8()?, reader.u8()?));
        let header = Header {
            kind,
            key,
            sender,
            cluster: ClusterTag(reader.array()?),
            session: reader.array()?,
            to_session: reader.array()?,
            epochs,
            counter: reader.u64()?,
        };
        // What is not to one has none: a newer program put something there.
        (kind == Kind::ToOne || epochs == (0, 0)).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            kind: Kind::ToOne,
            key: [0xaa, 0xbb],
            sender: NodeId(0x0304),
            cluster: ClusterTag([1, 2, 3, 4]),
            session: [5, 6, 7, 8],
            to_session: [9, 10, 11, 12],
            epochs: (0xe0, 0xe1),
            counter: 0x1122_3344_5566_7788,
        }
    }

    /// By the table above, written out.
    #[test]
    fn a_header_is_what_the_table_says() {
        let wanted = b"EVMW\x01\x03\xaa\xbb\x04\x03\xe0\xe1\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x88\x77\x66\x55\x44\x33\x22\x11";
        assert_eq!(&header().encode(), wanted);
        let datagram = [&wanted[..], &[7; 20]].concat();
        assert_eq!(Header::decode(&datagram), Ok((header(), &[7; 20][..])));
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let good = [&header().encode()[..], &[0; 16]].concat();
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            Header::decode(&bad).map(|(header, _)| header)
        };
        assert_eq!(Header::decode(&good[..47]), Err(NoFrame::Length(47)));
        assert_eq!(Header::decode(&vec![0; 9000]), Err(NoFrame::Length(9000)));
        assert_eq!(with(0, b'e'), Err(NoFrame::Magic));
        assert_eq!(with(4, 2), Err(NoFrame::Version(2)));
        assert_eq!(with(5, 0), Err(NoFrame::Kind(0)));
        assert_eq!(with(5, 4), Err(NoFrame::Kind(4)));
        assert_eq!(with(5, 2), Err(NoFrame::Kind(2)), "there are no epochs in what is to all");
    }
}
