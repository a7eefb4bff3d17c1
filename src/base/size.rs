//! Sizes as people type them: `10G`, `512MiB`, `1.5T`, `100%FREE`, `+4G`. Parsed here and nowhere else.

use core::fmt;

use crate::base::failure::{Failure, Kind};
use crate::base::units::{Bytes, SECTOR_BYTES};

/// A size: so many bytes, or a share of what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Exactly(Bytes),
    /// So many hundredths of the free space; 1..=100.
    PercentFree(u8),
}

/// A size that a volume shall have, or a difference to what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// To this size.
    To(Size),
    /// By this much more.
    Grow(Size),
    /// By this much less.
    Shrink(Size),
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSize {
    /// Not `NUMBER[UNIT]`.
    Shape(String),
    /// A unit that is not known.
    Unit(String),
    /// More than 64 bits of bytes.
    TooLarge(String),
    /// Zero, or a share outside 1..=100.
    OutOfRange(String),
    /// Not a whole number of sectors.
    NotSectors(String),
}

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadSize::Shape(text) => {
                write!(
                    f,
                    "'{}' is not a size; write for example 10G, 512MiB, 1.5T or 100%FREE",
                    text.escape_default()
                )
            }
            BadSize::Unit(text) => write!(
                f,
                "'{}' has a unit that is not known; use B, K, M, G, T, P or KiB, MiB, GiB, TiB, PiB (powers of 1024)",
                text.escape_default()
            ),
            BadSize::TooLarge(text) => {
                write!(f, "'{}' is more than 16 EiB; give a smaller size", text.escape_default())
            }
            BadSize::OutOfRange(text) => {
                write!(
                    f,
                    "'{}' is out of range; a size is above zero and a share is 1% to 100%",
                    text.escape_default()
                )
            }
            BadSize::NotSectors(text) => {
                write!(
                    f,
                    "'{}' is not a multiple of {SECTOR_BYTES} bytes; give a size in whole sectors",
                    text.escape_default()
                )
            }
        }
    }
}

impl std::error::Error for BadSize {}

impl Failure for BadSize {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

/// Digits after the point that are understood.
const FRACTION_DIGITS_MAX: usize = 6;

fn unit_bytes(unit: &str) -> Option<u64> {
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        "p" | "pib" => 50,
        "s" => return Some(SECTOR_BYTES),
        _ => return None,
    };
    Some(1 << shift)
}

fn parse_bytes(text: &str) -> Result<Bytes, BadSize> {
    let shape = || BadSize::Shape(text.into());
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty()
        || fraction.len() > FRACTION_DIGITS_MAX
        || (number.contains('.') && fraction.is_empty())
    {
        return Err(shape());
    }
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(shape());
    }
    let unit = unit_bytes(unit).ok_or_else(|| BadSize::Unit(text.into()))?;
    let too_large = || BadSize::TooLarge(text.into());
    let scale = 10u128.pow(fraction.len() as u32);
    let scaled: u128 = format!("{whole}{fraction}").parse().map_err(|_| too_large())?;
    let bytes = scaled.checked_mul(u128::from(unit)).ok_or_else(too_large)?;
    // A part below one byte is cut off; the check for whole sectors follows.
    let bytes = u64::try_from(bytes / scale).map_err(|_| too_large())?;
    match bytes {
        0 => Err(BadSize::OutOfRange(text.into())),
        bytes if bytes % SECTOR_BYTES != 0 => Err(BadSize::NotSectors(text.into())),
        bytes => Ok(Bytes(bytes)),
    }
}

impl Size {
    /// Reads `10G`, `512MiB`, `2048s`, `30%FREE`. Units are powers of 1024 whatever their letters' case.
    pub fn parse(text: &str) -> Result<Size, BadSize> {
        let Some(share) = text.strip_suffix("%FREE").or_else(|| text.strip_suffix("%free")) else {
            return parse_bytes(text).map(Size::Exactly);
        };
        if share.is_empty() || !share.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadSize::Shape(text.into()));
        }
        match share.parse::<u8>() {
            Ok(share @ 1..=100) => Ok(Size::PercentFree(share)),
            _ => Err(BadSize::OutOfRange(text.into())),
        }
    }

    /// Reads a plain byte size; a share of free space has no meaning here and is refused.
    pub fn parse_plain(text: &str) -> Result<Bytes, BadSize> {
        match Size::parse(text)? {
            Size::Exactly(bytes) => Ok(bytes),
            Size::PercentFree(_) => Err(BadSize::Shape(text.into())),
        }
    }
}

impl Resize {
    /// Reads `10G` (to), `+10G` (grow by), `-10G` (shrink by).
    pub fn parse(text: &str) -> Result<Resize, BadSize> {
        match text.split_at_checked(1) {
            Some(("+", rest)) => Size::parse(rest).map(Resize::Grow),
            Some(("-", rest)) => Size::parse(rest).map(Resize::Shrink),
            _ => Size::parse(text).map(Resize::To),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::{GIB, KIB, MIB};

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("512", 512),
            ("4K", 4 * KIB),
            ("512MiB", 512 * MIB),
            ("10g", 10 * GIB),
            ("1.5G", GIB + GIB / 2),
            ("8s", 4096),
            ("0.5K", 512),
        ] {
            assert_eq!(Size::parse(text), Ok(Size::Exactly(Bytes(bytes))), "{text}");
        }
        assert_eq!(Size::parse("100%FREE"), Ok(Size::PercentFree(100)));
        assert_eq!(Resize::parse("+1G"), Ok(Resize::Grow(Size::Exactly(Bytes(GIB)))));
        assert_eq!(Resize::parse("-1G"), Ok(Resize::Shrink(Size::Exactly(Bytes(GIB)))));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "G",
            "0",
            "1.G",
            ".5G",
            "1..2G",
            "10X",
            "513",
            "1e3",
            "-",
            "+",
            "0%FREE",
            "101%FREE",
            "%FREE",
            "99999999P",
            "1.1234567G",
            "340282366920938463463374607431768211456",
            "\u{0661}G",
        ] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
