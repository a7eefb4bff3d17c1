//! ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), in place.
//!
//! A crate of its own because generic code is compiled where it is used, and evms is compiled for size: here, where nothing
//! is generic any more, it is compiled for speed. Every byte between nodes passes through it twice.
#![no_std]

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a seal.
pub const SEAL_BYTES: usize = 16;

/// What is sealed would be longer than 256 GiB: nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $cipher:ty, $nonce_bytes:literal) => {
        $(#[$doc])*
        pub struct $name($cipher);

        impl $name {
            /// Seals and opens by this key.
            pub fn new(key: &[u8; KEY_BYTES]) -> $name {
                $name(<$cipher>::new(key.into()))
            }

            /// Encrypts `secret` in place; the seal is of that and of `clear`.
            #[inline(never)]
            pub fn seal(
                &self,
                nonce: &[u8; $nonce_bytes],
                clear: &[u8],
                secret: &mut [u8],
            ) -> Result<[u8; SEAL_BYTES], TooLong> {
                let sealed = self.0.encrypt_inout_detached(nonce.into(), clear, secret.into());
                sealed.map(Into::into).map_err(|_| TooLong)
            }

            /// Decrypts `secret` in place, when the seal is right; else nothing is changed, and it says so.
            #[inline(never)]
            #[must_use]
            pub fn open(
                &self,
                nonce: &[u8; $nonce_bytes],
                clear: &[u8],
                secret: &mut [u8],
                seal: &[u8; SEAL_BYTES],
            ) -> bool {
                self.0.decrypt_inout_detached(nonce.into(), clear, secret.into(), seal.into()).is_ok()
            }
        }
    };
}

key! {
    /// A key with which each nonce may be used once: for numbered messages of one sender.
    Key, ChaCha20Poly1305, 12
}

key! {
    /// A key whose nonces may be random.
    WideKey, XChaCha20Poly1305, 24
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8; 114] = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    const CLEAR: [u8; 12] = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];

    fn key() -> [u8; KEY_BYTES] {
        core::array::from_fn(|place| 0x80 + place as u8)
    }

    /// RFC 8439, section 2.8.2.
    #[test]
    fn the_seal_is_that_of_the_rfc() {
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let mut text = *PLAIN;
        let seal = Key::new(&key()).seal(&nonce, &CLEAR, &mut text).unwrap();
        assert_eq!(text[..8], [0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb]);
        let expected =
            [0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91];
        assert_eq!(seal, expected);
        assert!(Key::new(&key()).open(&nonce, &CLEAR, &mut text, &seal));
        assert_eq!(&text, PLAIN);
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_wide_seal_is_that_of_the_draft() {
        let nonce = core::array::from_fn(|place| 0x40 + place as u8);
        let mut text = *PLAIN;
        let seal = WideKey::new(&key()).seal(&nonce, &CLEAR, &mut text).unwrap();
        assert_eq!(text[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
        let expected =
            [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        assert_eq!(seal, expected);
    }

    #[test]
    fn what_is_not_opened_is_not_changed() {
        let mut text = *b"sealed";
        assert!(!Key::new(&key()).open(&[0; 12], &[], &mut text, &[0; SEAL_BYTES]));
        assert_eq!(&text, b"sealed");
    }
}
