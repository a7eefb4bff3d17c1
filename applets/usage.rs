//! What is wrong with a command line before any verb is reached, and the two questions that every applet answers
//! alike: `--help` and `--version`.

use std::ffi::{OsStr, OsString};
use std::fmt;

use evms::base::failure::{Failure, Kind};

use crate::exit::Exit;
use crate::out;

/// A command line that is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Usage {
    /// A word that is not UTF-8; its place (1-based, the name of the program not counted) and its bytes, escaped.
    NotUtf8 { place: usize, escaped: String },
    /// A variable of the environment that is not UTF-8.
    EnvironmentNotUtf8 { name: &'static str },
    /// An option that the applet does not have.
    UnknownOption { option: String, applet: &'static str },
    /// A word too many.
    Surplus { word: String, applet: &'static str },
    /// A word that has to be there.
    Missing { what: &'static str, applet: &'static str },
    /// The program was started by a name that is none of its own.
    UnknownName { name: String, names: String },
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Usage::NotUtf8 { place, escaped } => {
                write!(
                    f,
                    "argument {place}, '{escaped}', is not UTF-8; nothing was done, write names and paths in UTF-8"
                )
            }
            Usage::EnvironmentNotUtf8 { name } => {
                write!(
                    f,
                    "{name} in the environment is not UTF-8; nothing was done, write paths and names in UTF-8"
                )
            }
            Usage::UnknownOption { option, applet } => {
                write!(f, "unknown option '{}'; nothing was done, see {applet} --help", option.escape_debug())
            }
            Usage::Surplus { word, applet } => {
                write!(
                    f,
                    "'{}' is one word too many; nothing was done, see {applet} --help",
                    word.escape_debug()
                )
            }
            Usage::Missing { what, applet } => {
                write!(f, "{what} is missing; nothing was done, see {applet} --help")
            }
            Usage::UnknownName { name, names } => write!(
                f,
                "this program was started as '{}', which is none of its names; nothing was done, \
                 start it as one of: {names}",
                name.escape_debug()
            ),
        }
    }
}

impl Failure for Usage {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

/// All words as text, or the first one that is not UTF-8.
pub fn utf8(words: &[OsString]) -> Result<Vec<&str>, Usage> {
    words.iter().enumerate().map(|(at, word)| word.to_str().ok_or_else(|| not_utf8(at + 1, word))).collect()
}

fn not_utf8(place: usize, word: &OsStr) -> Usage {
    Usage::NotUtf8 { place, escaped: word.as_encoded_bytes().escape_ascii().to_string() }
}

/// Answers `--help` and `--version` when one of them is the only word; `None` when something else was asked.
pub fn answer(applet: &'static str, help: impl FnOnce() -> String, words: &[&str]) -> Option<Exit> {
    let answer = match words {
        ["--help" | "-h"] => help(),
        ["--version" | "-V"] => format!("{applet} {}\n", env!("CARGO_PKG_VERSION")),
        ["--help" | "-h" | "--version" | "-V", word, ..] => {
            return Some(out::refuse(applet, &Usage::Surplus { word: (*word).into(), applet }));
        }
        _ => return None,
    };
    Some(out::finish(applet, out::text(&answer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_word_that_is_not_utf8_is_named_by_place_and_bytes() {
        let words = [OsString::from("list"), OsString::from_vec(b"a\xffb".to_vec())];
        assert_eq!(utf8(&words), Err(Usage::NotUtf8 { place: 2, escaped: "a\\xffb".into() }));
        assert_eq!(utf8(&words[..1]), Ok(vec!["list"]));
    }
}
