//! From what people ask to whole extents.

use crate::base::units::{Bytes, Extents};
use crate::volume::plugins::region::Shape;

/// The shape that was asked.
pub(super) fn shape(stripes: Option<u16>, stripe_bytes: Option<Bytes>) -> Shape {
    Shape { columns: stripes.unwrap_or(1), chunk: stripe_bytes }
}

/// The least whole extents, a multiple of `columns`, that hold so many bytes. `None` past 64 bits.
pub(super) fn extents_for(size: Bytes, extent: Bytes, columns: u16) -> Option<Extents> {
    let row = extent.0.checked_mul(u64::from(columns)).filter(|&row| row > 0)?;
    size.0.div_ceil(row).checked_mul(u64::from(columns)).map(Extents)
}

/// So many hundredths of what is free, a multiple of `columns`; at least one extent for each.
pub(super) fn share(percent: u8, free: Extents, columns: u16) -> Extents {
    let columns = u64::from(columns.max(1));
    let part = u64::try_from(u128::from(free.0) * u128::from(percent) / 100).unwrap_or(u64::MAX);
    Extents((part - part % columns).max(columns))
}

/// A size in words, and how it came about when it was rounded.
pub(super) fn words(got: Bytes, asked: Option<Bytes>) -> String {
    match asked {
        Some(asked) if asked != got => {
            format!("{} ({} rounded up to whole extents)", got.human(), asked.human())
        }
        _ => got.human().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::MIB;

    #[test]
    fn sizes_are_rounded_up_and_shares_down() {
        let extent = Bytes(4 * MIB);
        for (size, columns, extents) in
            [(1, 1, 1), (4 * MIB, 1, 1), (4 * MIB + 1, 1, 2), (9 * MIB, 3, 3), (13 * MIB, 3, 6)]
        {
            assert_eq!(
                extents_for(Bytes(size), extent, columns),
                Some(Extents(extents)),
                "{size} on {columns}"
            );
        }
        assert_eq!(extents_for(Bytes(1), extent, 0), None);
        assert_eq!(share(50, Extents(7), 1), Extents(3));
        assert_eq!(share(100, Extents(7), 2), Extents(6));
        assert_eq!(share(1, Extents(7), 2), Extents(2));
        assert_eq!(share(100, Extents(u64::MAX), 1), Extents(u64::MAX));
        assert_eq!(words(extent, Some(Bytes(MIB))), "4 MiB (1 MiB rounded up to whole extents)");
    }
}
