//! What live volumes stand on, told by the kernel alone: the tables of device-mapper, followed down to the disks. Two
//! live volumes over one sector are the worst that activation can do, whatever the containers say; a node that leads to
//! another volume is the next.

use std::collections::BTreeMap;

use crate::guest::Guest;
use crate::trouble::Trouble;

/// Names of evms in the kernel, and those of its gates among them.
const OURS: &str = "evms:";
const GATE: &str = "evms:gate:";

/// A piece of a disk under a live volume, in sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The volume's name in the kernel.
    pub volume: String,
    /// The disk, as major and minor number.
    pub disk: String,
    /// The first sector.
    pub begin: u64,
    /// How many.
    pub length: u64,
}

impl Piece {
    fn overlaps(&self, other: &Piece) -> bool {
        self.disk == other.disk
            && self.begin < other.begin + other.length
            && other.begin < self.begin + self.length
    }
}

/// Tables by name, and names by number.
struct Tables {
    lines: BTreeMap<String, Vec<Line>>,
    names: BTreeMap<String, String>,
}

/// A linear line of a table: so many sectors of a device from one on.
struct Line {
    length: u64,
    device: String,
    begin: u64,
}

/// Every piece of a disk under a live volume of evms. Volumes of other kinds than linear cannot be followed.
pub fn pieces(guest: &mut Guest) -> Result<Vec<Piece>, Trouble> {
    let table = guest.ok("dmsetup table")?;
    let names = guest.ok("dmsetup info -c --noheadings --separator ' ' -o major,minor,name")?;
    let tables = Tables::parse(&table, &names)?;
    let volumes = tables.lines.iter().filter(|(name, _)| name.starts_with(OURS) && !name.starts_with(GATE));
    let pieces = volumes.flat_map(|(name, lines)| lines.iter().map(|line| tables.follow(name, line)));
    pieces.collect()
}

/// Every node below /dev/evms, and why it is wrong if it does not lead to the live device of the volume that it is
/// called after.
const NODES: &str = "for node in $(find /dev/evms ! -type d 2>/dev/null); do
    name=${node#/dev/evms/}; name=evms:${name%%/*}:${name#*/}
    there=$(dmsetup info -c --noheadings --separator : -o major,minor $name 2>/dev/null | tr -d ' ')
    here=$(stat -L -c '%t:%T' $node 2>/dev/null) && here=$((0x${here%:*})):$((0x${here#*:}))
    if [ -z \"$here\" ]; then echo \"$node leads nowhere\"
    elif [ \"$here\" != \"$there\" ]; then echo \"$node leads to $here and not to '$there'\"
    else echo $node; fi
  done";

/// The nodes of volumes, each of which leads to that very volume; any that does not is an error.
pub fn nodes(guest: &mut Guest) -> Result<Vec<String>, Trouble> {
    let nodes = guest.ok(NODES)?;
    match nodes.lines().find(|line| line.contains(' ')) {
        Some(wrong) => Err(Trouble::Unexpected(wrong.into())),
        None => Ok(nodes.lines().map(String::from).collect()),
    }
}

/// The first two pieces of different volumes that share a sector.
pub fn overlap(pieces: &[Piece]) -> Option<(&Piece, &Piece)> {
    let pairs = pieces
        .iter()
        .enumerate()
        .flat_map(|(number, one)| pieces[number + 1..].iter().map(move |other| (one, other)));
    pairs.into_iter().find(|(one, other)| one.volume != other.volume && one.overlaps(other))
}

impl Tables {
    fn parse(table: &str, names: &str) -> Result<Self, Trouble> {
        let mut lines = BTreeMap::<String, Vec<Line>>::new();
        for text in table.lines() {
            let Some((name, line)) = text.split_once(": ") else { continue };
            if name.starts_with(OURS) {
                lines.entry(name.into()).or_default().push(Line::parse(line).ok_or_else(|| strange(text))?);
            }
        }
        let mut by_number = BTreeMap::new();
        for text in names.lines() {
            let words = text.split_whitespace().collect::<Vec<_>>();
            if let [major, minor, name] = words.as_slice() {
                by_number.insert(format!("{major}:{minor}"), name.to_string());
            }
        }
        Ok(Self { lines, names: by_number })
    }

    /// From a line of a volume through its gate to the disk.
    fn follow(&self, volume: &str, line: &Line) -> Result<Piece, Trouble> {
        let gate = self.names.get(&line.device).filter(|name| name.starts_with(GATE));
        let gate = gate.ok_or_else(|| strange(&format!("{volume} stands on {}, no gate", line.device)))?;
        let [under] = self.lines.get(gate).map(Vec::as_slice).unwrap_or_default() else {
            return Err(strange(&format!("the table of {gate}")));
        };
        Ok(Piece {
            volume: volume.into(),
            disk: under.device.clone(),
            begin: under.begin + line.begin,
            length: line.length,
        })
    }
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let words = text.split_whitespace().collect::<Vec<_>>();
        let [_, length, "linear", device, begin] = words.as_slice() else { return None };
        Some(Self { length: length.parse().ok()?, device: device.to_string(), begin: begin.parse().ok()? })
    }
}

fn strange(what: &str) -> Trouble {
    Trouble::Unexpected(format!("a table that cannot be followed: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "254 0 evms:gate:c:1\n254 1 evms:data:a\n254 2 evms:data:b\n254 3 other\n";

    fn pieces_of(table: &str) -> Result<Vec<Piece>, Trouble> {
        let tables = Tables::parse(table, NAMES)?;
        let follow = |name: &str| {
            let lines = tables.lines.get(name).into_iter().flatten();
            lines.map(|line| tables.follow(name, line)).collect::<Vec<_>>()
        };
        ["evms:data:a", "evms:data:b"].iter().flat_map(|name| follow(name)).collect()
    }

    #[test]
    fn volumes_are_followed_to_their_disks() -> Result<(), Trouble> {
        let table =
            "evms:gate:c:1: 0 9000 linear 253:0 100\nevms:data:a: 0 10 linear 254:0 5\nother: 0 1 error \n";
        let piece = Piece { volume: "evms:data:a".into(), disk: "253:0".into(), begin: 105, length: 10 };
        assert_eq!(pieces_of(table)?, [piece]);
        assert!(pieces_of("evms:data:a: 0 10 linear 253:0 5\n").is_err(), "it stands on no gate");
        assert!(pieces_of("evms:data:a: 0 10 error \n").is_err());
        Ok(())
    }

    #[test]
    fn one_shared_sector_is_seen() -> Result<(), Trouble> {
        let gate = "evms:gate:c:1: 0 9000 linear 253:0 100\nevms:data:a: 0 10 linear 254:0 5\n";
        for (begin, shared) in [(14, true), (15, false), (0, false)] {
            let pieces = pieces_of(&format!("{gate}evms:data:b: 0 5 linear 254:0 {begin}\n"))?;
            assert_eq!(overlap(&pieces).is_some(), shared, "{begin}");
        }
        Ok(())
    }
}
