//! The tables of FORMAT.md: each stands under a comment that says what it tells of.

const DOCUMENT: &str = include_str!("../../src/format/FORMAT.md");

/// Rows of cells, without the two lines of heading.
pub type Table = Vec<Vec<&'static str>>;

/// The table under `<!-- KIND: NAME -->`, or under `<!-- KIND -->`.
pub fn find(title: &str) -> Table {
    let mark = format!("<!-- {title} -->\n");
    let (_, behind) = DOCUMENT.split_once(&mark).unwrap_or_else(|| panic!("no table of {title}"));
    let lines = behind.lines().take_while(|line| line.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    lines.skip(2).map(cells).collect()
}

/// Names of all tables of one kind.
pub fn names(kind: &str) -> Vec<&'static str> {
    let mark = format!("<!-- {kind}: ");
    let titles = DOCUMENT.lines().filter_map(|line| line.strip_prefix(mark.as_str())?.strip_suffix(" -->"));
    titles.collect()
}
