//! Seals and opens frames: ChaCha20-Poly1305 (RFC 8439) over what is encrypted, the header and a greeting's tag.

use evms_aead::{Key, WideKey};

use crate::cluster::keys::{KEY_BYTES, SessionTag};
use crate::format::frame::{HEADER_BYTES, Header, SEAL_BYTES, TAG_BYTES};

/// Seals, or opens, under one key. The counter in the header is the nonce.
pub struct Seal(Key);

impl Seal {
    /// Under this key.
    pub fn new(key: [u8; KEY_BYTES]) -> Seal {
        Seal(Key::new(&key))
    }

    fn nonce(counter: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&counter.to_le_bytes());
        nonce
    }

    /// A datagram.
    pub fn seal(&self, header: &Header, payload: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(HEADER_BYTES + payload.len() + SEAL_BYTES);
        datagram.extend_from_slice(&header.encode());
        datagram.extend_from_slice(payload);
        let (clear, secret) = datagram.split_at_mut(HEADER_BYTES);
        // Fails for more than 256 GiB only. A datagram without a seal is believed by nobody.
        let seal = self.0.seal(&Seal::nonce(header.counter), clear, secret).unwrap_or([0; SEAL_BYTES]);
        datagram.extend_from_slice(&seal);
        datagram
    }

    /// What was sealed; nothing when it was not, or not so.
    pub fn open(&self, header: &Header, datagram: &[u8]) -> Option<Vec<u8>> {
        let (clear, rest) = datagram.split_at_checked(HEADER_BYTES)?;
        let (secret, seal) = rest.split_last_chunk::<SEAL_BYTES>()?;
        let mut payload = secret.to_vec();
        self.0.open(&Seal::nonce(header.counter), clear, &mut payload, seal).then_some(payload)
    }
}

/// Seals greetings: by one key for all nodes and sessions, so that the nonce is a session's random tag and its counter.
pub struct GreetingSeal(WideKey);

impl GreetingSeal {
    /// Under this key.
    pub fn new(key: [u8; KEY_BYTES]) -> GreetingSeal {
        GreetingSeal(WideKey::new(&key))
    }

    fn nonce(tag: SessionTag, counter: u64) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[..TAG_BYTES].copy_from_slice(&tag);
        nonce[TAG_BYTES..].copy_from_slice(&counter.to_le_bytes());
        nonce
    }

    /// A datagram.
    pub fn seal(&self, header: &Header, tag: SessionTag, payload: &[u8]) -> Vec<u8> {
        let mut datagram = [&header.encode()[..], &tag, payload].concat();
        let (clear, secret) = datagram.split_at_mut(HEADER_BYTES + TAG_BYTES);
        let nonce = GreetingSeal::nonce(tag, header.counter);
        let seal = self.0.seal(&nonce, clear, secret).unwrap_or([0; SEAL_BYTES]);
        datagram.extend_from_slice(&seal);
        datagram
    }

    /// The sender's tag, and what was sealed.
    pub fn open(&self, header: &Header, datagram: &[u8]) -> Option<(SessionTag, Vec<u8>)> {
        let (clear, rest) = datagram.split_at_checked(HEADER_BYTES + TAG_BYTES)?;
        let (secret, seal) = rest.split_last_chunk::<SEAL_BYTES>()?;
        let tag = *clear.last_chunk::<TAG_BYTES>()?;
        let mut payload = secret.to_vec();
        let nonce = GreetingSeal::nonce(tag, header.counter);
        self.0.open(&nonce, clear, &mut payload, seal).then_some((tag, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::NodeId;
    use crate::format::frame::{ClusterTag, Kind};

    fn header() -> Header {
        Header {
            kind: Kind::ToOne,
            key: [1, 2],
            sender: NodeId(3),
            cluster: ClusterTag([4; 4]),
            session: [5; 4],
            to_session: [6; 4],
            epochs: (0, 0),
            counter: 7,
        }
    }

    #[test]
    fn every_flipped_bit_breaks_the_seal() {
        let seal = Seal::new([8; 32]);
        let greetings = GreetingSeal::new([8; 32]);
        let plain = seal.seal(&header(), b"a beat");
        let greeting = greetings.seal(&header(), [9; 16], b"a greeting");
        assert_eq!(seal.open(&header(), &plain), Some(b"a beat".to_vec()));
        assert_eq!(greetings.open(&header(), &greeting), Some(([9; 16], b"a greeting".to_vec())));
        for bit in 0..plain.len() * 8 {
            let mut bad = plain.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = Header::decode(&bad).ok().and_then(|(header, _)| seal.open(&header, &bad));
            assert_eq!(read, None, "bit {bit}");
        }
        for bit in 0..greeting.len() * 8 {
            let mut bad = greeting.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = Header::decode(&bad).ok().and_then(|(header, _)| greetings.open(&header, &bad));
            assert_eq!(read, None, "bit {bit}");
        }
        assert_eq!(Seal::new([7; 32]).open(&header(), &plain), None, "another key");
        for length in 0..plain.len() {
            assert_eq!(seal.open(&header(), &plain[..length]), None);
        }
    }
}
