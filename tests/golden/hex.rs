//! Golden files are text: the length, then a line of hex for every sixteen bytes that are not all zero. A change of a
//! byte shows in a diff, and a slot that is mostly padding stays small.
#![allow(dead_code, reason = "several tests take what they need")]

use std::fmt::Write;
use std::path::PathBuf;

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(format!("{name}.hex"))
}

/// The bytes of a golden file.
pub fn read(name: &str) -> Vec<u8> {
    let path = path(name);
    parse(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

pub fn print(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes, zero where no line stands\n", bytes.len());
    for (index, line) in bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|&byte| byte != 0)) {
        write!(text, "{:06x}:", index * 16).unwrap();
        line.iter().for_each(|byte| write!(text, " {byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

pub fn parse(text: &str) -> Vec<u8> {
    let mut lines = text.lines();
    let length = lines.next().and_then(|line| line.split(' ').next()).unwrap().parse().unwrap();
    let mut bytes = vec![0; length];
    for line in lines {
        let (at, row) = line.split_once(": ").unwrap();
        let at = usize::from_str_radix(at, 16).unwrap();
        for (place, byte) in row.split(' ').enumerate() {
            bytes[at + place] = u8::from_str_radix(byte, 16).unwrap();
        }
    }
    bytes
}
