//! Names of containers, volumes and nodes. Checked here and nowhere else (design section 4).

use core::fmt;
use serde::{Deserialize, Serialize};

use crate::base::failure::{Failure, Kind};
use crate::base::limits::NAME_BYTES_MAX;

/// Words that mean something else on the command line.
const RESERVED: [&str; 5] = ["all", "none", "local", ".", ".."];
/// Words that machines carry which were never given a name (safety 3.1).
const NO_NODE_NAME: [&str; 3] = ["localhost", "(none)", ""];

/// A checked name: `[A-Za-z0-9_][A-Za-z0-9_.+-]{0,59}`, not a reserved word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadName {
    /// No letters at all.
    Empty,
    /// Longer than [`NAME_BYTES_MAX`] bytes.
    TooLong {
        /// Bytes it has.
        bytes: usize,
    },
    /// A character that no name has, and where (0-based byte).
    BadCharacter {
        /// The whole text.
        text: String,
        /// The character.
        character: char,
        /// Its place.
        at: usize,
    },
    /// One of the reserved words.
    Reserved(String),
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::Empty => write!(f, "the name is empty; give 1 to {NAME_BYTES_MAX} characters"),
            BadName::TooLong { bytes } => {
                write!(f, "the name has {bytes} bytes and {NAME_BYTES_MAX} is the most; give a shorter one")
            }
            BadName::BadCharacter { text, character, at } => write!(
                f,
                "the name '{}' has {character:?} at place {}; names are letters, digits and _ . + -, \
                 and begin with a letter, a digit or _",
                text.escape_default(),
                at + 1
            ),
            BadName::Reserved(word) => {
                write!(f, "the word '{word}' is reserved and cannot be a name; choose another")
            }
        }
    }
}

impl std::error::Error for BadName {}

impl Failure for BadName {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

fn first_ok(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn rest_ok(character: char) -> bool {
    first_ok(character) || matches!(character, '.' | '+' | '-')
}

impl Name {
    /// Checks `text` and takes it as a name.
    pub fn parse(text: &str) -> Result<Name, BadName> {
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(BadName::TooLong { bytes: text.len() });
        }
        if RESERVED.contains(&text) {
            return Err(BadName::Reserved(text.into()));
        }
        let bad = text.char_indices().find(|&(at, c)| if at == 0 { !first_ok(c) } else { !rest_ok(c) });
        match bad {
            Some((at, character)) => Err(BadName::BadCharacter { text: text.into(), character, at }),
            None => Ok(Name(text.into())),
        }
    }

    /// As [`Name::parse`], and refuses what machines are called before they have a name (safety 3.1).
    pub fn parse_node(text: &str) -> Result<Name, BadName> {
        if NO_NODE_NAME.contains(&text) || text.starts_with("localhost.") {
            return Err(if text.is_empty() { BadName::Empty } else { BadName::Reserved(text.into()) });
        }
        Name::parse(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Name, BadName> {
        Name::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

/// `CONTAINER/VOLUME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumePath {
    /// The container's name.
    pub container: Name,
    /// The volume's name in it.
    pub volume: Name,
}

/// Why a text is not `CONTAINER/VOLUME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// Not exactly one slash.
    Shape(String),
    /// One half is no name.
    Name(BadName),
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPath::Shape(text) => {
                write!(
                    f,
                    "'{}' does not name a volume; write CONTAINER/VOLUME, for example data/home",
                    text.escape_default()
                )
            }
            BadPath::Name(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for BadPath {}

impl Failure for BadPath {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

impl VolumePath {
    /// Reads `CONTAINER/VOLUME`; `/dev/evms/CONTAINER/VOLUME` is understood too.
    pub fn parse(text: &str) -> Result<VolumePath, BadPath> {
        let inner = text.strip_prefix("/dev/evms/").unwrap_or(text);
        let (container, volume) = match inner.split_once('/') {
            Some((container, volume)) if !volume.contains('/') => (container, volume),
            _ => return Err(BadPath::Shape(text.into())),
        };
        let container = Name::parse(container).map_err(BadPath::Name)?;
        let volume = Name::parse(volume).map_err(BadPath::Name)?;
        Ok(VolumePath { container, volume })
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container, self.volume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_design() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for good in ["a", "_x", "0", "data", "db.1+2-3", longest.as_str()] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        let too_long = "x".repeat(NAME_BYTES_MAX + 1);
        for bad in [
            "", ".", "..", "all", "none", "local", "a/b", "a:b", "-a", ".a", "+a", "a b", "\u{e4}", "a\0",
            &too_long,
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["localhost", "(none)", "", "localhost.localdomain"] {
            assert!(Name::parse_node(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_volume_is_named_by_its_container() {
        let path = VolumePath::parse("data/home").unwrap();
        assert_eq!((path.container.as_str(), path.volume.as_str()), ("data", "home"));
        assert_eq!(VolumePath::parse("/dev/evms/data/home").unwrap(), path);
        for bad in ["data", "data/", "/home", "a/b/c", "", "/"] {
            assert!(VolumePath::parse(bad).is_err(), "{bad}");
        }
    }
}
