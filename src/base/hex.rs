//! Bytes as hex digits, for what people carry from one machine to another.

/// Two lower-case digits for each byte.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of such digits, of either case; nothing where something else is among them.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |at: u8| char::from(at).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes() {
        assert_eq!(encode(&[0, 0x1f, 0xa0]), "001fa0");
        assert_eq!(decode("001Fa0"), Some(vec![0, 0x1f, 0xa0]));
        assert_eq!(decode(""), Some(vec![]));
        for bad in ["0", "0g", "0x", " 00", "é1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
