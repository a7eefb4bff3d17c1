//! Tables for people: columns as wide as what stands in them, numbers to the right. What disks say about themselves
//! stands in them too, so control characters are shown and never sent to the terminal.

use evms::base::units::Bytes;

/// Spaces between columns.
const BETWEEN: &str = "  ";
/// Stands where there is nothing to say.
const NOTHING: &str = "-";

/// A table that is being filled.
pub struct Table {
    heads: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// Text that comes from a disk, fit for a terminal: no control characters, one line.
pub fn clean(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.into();
    }
    let shown = |c: char| {
        if c.is_control() { c.escape_default().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(shown).collect()
}

/// Bytes as people write them.
pub fn size(bytes: u64) -> String {
    Bytes(bytes).human().to_string()
}

/// `1 disk`, `2 disks`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl Table {
    /// A table with these heads; a head that begins with `>` is of a column of numbers.
    pub fn new(heads: &'static [&'static str]) -> Table {
        Table { heads, rows: Vec::new() }
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cell = |text: String| if text.is_empty() { NOTHING.into() } else { clean(&text) };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The whole of it, a line a row; nothing when there are no rows.
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heads = self.heads.iter().map(|head| head.trim_start_matches('>').to_string()).collect();
        // Once for all rows: a thousand volumes are a thousand rows.
        let widths = (0..self.heads.len()).map(|column| self.width(column)).collect::<Vec<_>>();
        let mut text = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            self.line(row, &widths, &mut text);
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let head = self.heads.get(column).map_or(0, |head| head.trim_start_matches('>').len());
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(head)
    }

    fn line(&self, row: &[String], widths: &[usize], text: &mut String) {
        for ((cell, &width), head) in row.iter().zip(widths).zip(self.heads) {
            let fill = " ".repeat(width - cell.chars().count().min(width));
            let (before, behind) = if head.starts_with('>') { (&*fill, "") } else { ("", &*fill) };
            for part in [before, cell, behind, BETWEEN] {
                text.push_str(part);
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(&["NAME", ">SIZE", "WHAT"]);
        table.row(["a".into(), size(512), "x\u{1b}[2J".into()]);
        table.row(["longer".into(), size(1 << 30), String::new()]);
        assert_eq!(table.text(), "NAME     SIZE  WHAT\na       512 B  x\\u{1b}[2J\nlonger  1 GiB  -\n");
        assert_eq!(Table::new(&["NAME"]).text(), "");
    }
}
