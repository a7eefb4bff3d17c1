//! Patterns over disk names: `sd*`, `/dev/mapper/mpath?`, `nvme[0-3]n1`, `[!v]d*`. A star crosses slashes. Matching
//! goes back to the last star only, so no pattern makes it slow.

use core::fmt;

use crate::base::failure::{Failure, Kind};

/// A checked pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    One(char),
    Any,
    Star,
    Set { ranges: Vec<(char, char)>, inverted: bool },
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadGlob {
    /// No text.
    Empty,
    /// A `[` without its `]`, or nothing between them.
    OpenSet(String),
    /// A range whose end comes before its start.
    Range(String),
}

impl fmt::Display for BadGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadGlob::Empty => f.write_str("a disk pattern is empty; write for example sd* or /dev/mapper/*"),
            BadGlob::OpenSet(text) => {
                write!(
                    f,
                    "the disk pattern '{}' has a '[' without characters and ']'; close it",
                    text.escape_debug()
                )
            }
            BadGlob::Range(text) => {
                write!(
                    f,
                    "the disk pattern '{}' has a range that runs backwards; turn it round",
                    text.escape_debug()
                )
            }
        }
    }
}

impl std::error::Error for BadGlob {}

impl Failure for BadGlob {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

impl Glob {
    /// Reads a pattern of `*`, `?`, `[a-z]`, `[!a-z]` and plain characters.
    pub fn parse(text: &str) -> Result<Glob, BadGlob> {
        if text.is_empty() {
            return Err(BadGlob::Empty);
        }
        let mut tokens = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' => Token::Star,
                '?' => Token::Any,
                '[' => {
                    let end = rest.as_str().char_indices().skip(1).find(|&(_, c)| c == ']');
                    let Some((end, _)) = end else { return Err(BadGlob::OpenSet(text.into())) };
                    let (set, after) = rest.as_str().split_at(end);
                    rest = after[1..].chars();
                    parse_set(set, text)?
                }
                other => Token::One(other),
            });
        }
        Ok(Glob { text: text.into(), tokens })
    }

    /// Does the whole of `name` match?
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut token) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    star = Some((token, at));
                    token += 1;
                }
                Some(one) if one.takes(name[at]) => {
                    token += 1;
                    at += 1;
                }
                _ => {
                    let Some((star_token, star_at)) = star else { return false };
                    star = Some((star_token, star_at + 1));
                    (token, at) = (star_token + 1, star_at + 1);
                }
            }
        }
        self.tokens[token..].iter().all(|left| *left == Token::Star)
    }
}

fn parse_set(set: &str, text: &str) -> Result<Token, BadGlob> {
    let (inverted, set) = match set.strip_prefix(['!', '^']) {
        Some(set) => (true, set),
        None => (false, set),
    };
    if set.is_empty() {
        return Err(BadGlob::OpenSet(text.into()));
    }
    let characters: Vec<char> = set.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = characters.as_slice();
    while let [first, after @ ..] = rest {
        rest = match after {
            ['-', last, after @ ..] if last < first => return Err(BadGlob::Range(text.into())),
            ['-', last, after @ ..] => {
                ranges.push((*first, *last));
                after
            }
            after => {
                ranges.push((*first, *first));
                after
            }
        };
    }
    Ok(Token::Set { ranges, inverted })
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Token::One(own) => *own == character,
            Token::Any => true,
            Token::Star => false,
            Token::Set { ranges, inverted } => {
                ranges.iter().any(|&(first, last)| first <= character && character <= last) != *inverted
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, matches) in [
            ("sd*", "sda", true),
            ("sd*", "sd", true),
            ("sd*", "xsda", false),
            ("sd?", "sda", true),
            ("sd?", "sdaa", false),
            ("sd[a-c]", "sdb", true),
            ("sd[a-c]", "sdd", false),
            ("sd[!a-c]", "sdd", true),
            ("sd[^a-c]", "sda", false),
            ("sd[]a]", "sd]", true),
            ("sd[a-]", "sd-", true),
            ("*", "/dev/mapper/mpatha", true),
            ("/dev/*/mpath?", "/dev/mapper/mpatha", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("nvme[0-3]n1", "nvme2n1", true),
            ("sda", "sda", true),
            ("sda", "sda1", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), matches, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_spiteful_pattern_is_not_slow() {
        let glob = Glob::parse(&"a*".repeat(200)).unwrap();
        assert!(!glob.matches(&format!("{}b", "c".repeat(20_000))));
        assert!(!Glob::parse(&format!("{}b", "*a".repeat(100))).unwrap().matches(&"a".repeat(5_000)));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, bad) in [
            ("", BadGlob::Empty),
            ("sd[a", BadGlob::OpenSet("sd[a".into())),
            ("sd[", BadGlob::OpenSet("sd[".into())),
            ("sd[]", BadGlob::OpenSet("sd[]".into())),
            ("sd[c-a]", BadGlob::Range("sd[c-a]".into())),
        ] {
            assert_eq!(Glob::parse(text), Err(bad), "{text}");
        }
        assert!(Glob::parse("sd[!]").is_err() && Glob::parse("[\u{e4}").is_err());
    }
}
