//! The words behind a verb, read against that verb's table of options. Options and names stand in any order,
//! `--size 1G` and `--size=1G` are the same, `--` ends the options. What is not in the table is refused with what is.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use evms::base::failure::{Failure, Kind};

/// One option of a verb, or a global one.
pub struct Opt {
    /// With its dashes.
    pub name: &'static str,
    /// What stands behind it, in capitals; empty for a flag.
    pub value: &'static str,
    /// What it is for. Further lines of it are set under the first.
    pub line: &'static str,
    /// May it be given several times?
    pub many: bool,
}

/// A flag.
pub const fn flag(name: &'static str, line: &'static str) -> Opt {
    Opt { name, value: "", line, many: false }
}

/// An option with a value.
pub const fn value(name: &'static str, value: &'static str, line: &'static str) -> Opt {
    Opt { name, value, line, many: false }
}

/// An option with a value that may be given several times.
pub const fn values(name: &'static str, value: &'static str, line: &'static str) -> Opt {
    Opt { name, value, line, many: true }
}

/// The names of options, for a sentence.
pub fn names(options: &[Opt]) -> String {
    let names = options.iter().map(|option| option.name).collect::<Vec<_>>();
    if names.is_empty() { "none of its own".into() } else { names.join(", ") }
}

/// Why the words behind a verb are refused. `verb` is spelled as it is called: `evms volume create`.
#[derive(Debug, PartialEq, Eq)]
pub enum BadWords {
    /// A word that is no verb; what there is instead.
    Verb { word: String, of: String, known: String },
    /// An option that the verb does not have.
    Option { option: String, verb: String, known: String },
    /// An option without its value.
    NoValue { option: &'static str, value: &'static str, verb: String },
    /// A flag with a value.
    Flag { option: &'static str, verb: String },
    /// An option given twice.
    Twice { option: &'static str, verb: String },
    /// Two that exclude each other.
    Both { one: &'static str, other: &'static str, verb: String },
    /// A word too many.
    Surplus { word: String, verb: String },
    /// A word or option that has to be there.
    Missing { what: &'static str, verb: String },
    /// One of two has to be there.
    Neither { one: &'static str, other: &'static str, verb: String },
    /// A value that cannot be read.
    Value { what: &'static str, why: String, verb: String },
}

impl Display for BadWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadWords::Verb { word, of, known } => write!(
                f,
                "unknown verb '{}'; nothing was done; {of} has: {known}; see {of} --help",
                word.escape_debug()
            ),
            BadWords::Option { option, verb, known } => write!(
                f,
                "unknown option '{}'; nothing was done; {verb} has: {known}; see {verb} --help",
                option.escape_debug()
            ),
            BadWords::NoValue { option, value, verb } => {
                write!(f, "{option} wants a {value} behind it; nothing was done, see {verb} --help")
            }
            BadWords::Flag { option, verb } => {
                write!(f, "{option} takes no value; nothing was done, see {verb} --help")
            }
            BadWords::Twice { option, verb } => {
                write!(f, "{option} was given twice; nothing was done, see {verb} --help")
            }
            BadWords::Both { one, other, verb } => {
                write!(f, "{one} and {other} exclude each other; nothing was done, see {verb} --help")
            }
            BadWords::Surplus { word, verb } => {
                write!(
                    f,
                    "'{}' is one word too many; nothing was done, see {verb} --help",
                    word.escape_debug()
                )
            }
            BadWords::Missing { what, verb } => {
                write!(f, "{what} is missing; nothing was done, see {verb} --help")
            }
            BadWords::Neither { one, other, verb } => {
                write!(f, "{one} or {other} is missing; nothing was done, see {verb} --help")
            }
            BadWords::Value { what, why, verb } => {
                write!(f, "{what}: {why}; nothing was done, see {verb} --help")
            }
        }
    }
}

impl Failure for BadWords {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

/// The words behind a verb, sorted into options and names.
#[derive(Debug, Default)]
pub struct Words {
    /// The verb as it is called.
    pub verb: String,
    options: BTreeMap<&'static str, Vec<String>>,
    names: Vec<String>,
}

/// Finds `word` among options: the option, and the value that was written behind a `=`.
pub fn find<'a, 'w>(options: &'a [Opt], word: &'w str) -> Option<(&'a Opt, Option<&'w str>)> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    options.iter().find(|option| option.name == name).map(|option| (option, value))
}

impl Words {
    /// Reads `words` by the table of `verb`; at most `names_max` may be no options.
    pub fn read(verb: &str, table: &[Opt], names_max: usize, words: &[&str]) -> Result<Words, BadWords> {
        let mut read = Words { verb: verb.into(), ..Words::default() };
        let mut rest = words.iter().copied();
        let mut options_over = false;
        while let Some(word) = rest.next() {
            if word == "--" && !options_over {
                options_over = true;
            } else if word.starts_with('-') && word.len() > 1 && !options_over {
                read.take(table, word, &mut rest)?;
            } else if read.names.len() == names_max {
                return Err(BadWords::Surplus { word: word.into(), verb: verb.into() });
            } else {
                read.names.push(word.into());
            }
        }
        Ok(read)
    }

    fn take<'w>(
        &mut self,
        table: &[Opt],
        word: &str,
        rest: &mut impl Iterator<Item = &'w str>,
    ) -> Result<(), BadWords> {
        let verb = self.verb.clone();
        let Some((option, behind)) = find(table, word) else {
            return Err(BadWords::Option { option: word.into(), verb, known: names(table) });
        };
        let Opt { name, value, many, .. } = *option;
        let given = match (value, behind) {
            ("", Some(_)) => return Err(BadWords::Flag { option: name, verb }),
            ("", None) => String::new(),
            (_, Some(behind)) => behind.into(),
            (value, None) => rest.next().ok_or(BadWords::NoValue { option: name, value, verb })?.into(),
        };
        let all = self.options.entry(name).or_default();
        if !many && !all.is_empty() && !value.is_empty() {
            return Err(BadWords::Twice { option: name, verb: self.verb.clone() });
        }
        all.push(given);
        Ok(())
    }

    /// Was this given?
    pub fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// The value of an option that may be given once.
    pub fn one(&self, option: &str) -> Option<&str> {
        self.options.get(option).and_then(|all| all.first()).map(String::as_str)
    }

    /// All values of an option.
    pub fn all(&self, option: &str) -> &[String] {
        self.options.get(option).map_or(&[], Vec::as_slice)
    }

    /// All values of an option, each of which may be a list with commas.
    pub fn list(&self, option: &str) -> Vec<String> {
        let all = self.all(option).iter().flat_map(|text| text.split(','));
        all.map(str::trim).filter(|text| !text.is_empty()).map(String::from).collect()
    }

    /// The value of an option, read by `parse`.
    pub fn parsed<T, E: Display>(
        &self,
        option: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BadWords> {
        self.one(option).map(|text| parse(text).map_err(|why| self.bad(option, &why))).transpose()
    }

    /// As [`Words::parsed`], for an option that has to be given.
    pub fn wanted<T, E: Display>(
        &self,
        option: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, BadWords> {
        self.parsed(option, parse)?.ok_or_else(|| self.missing(option))
    }

    /// The name at `place`, which has to be there; `what` says it in capitals.
    pub fn name(&self, place: usize, what: &'static str) -> Result<&str, BadWords> {
        self.names.get(place).map(String::as_str).ok_or_else(|| self.missing(what))
    }

    /// The names from `place` on.
    pub fn names(&self, place: usize) -> &[String] {
        self.names.get(place..).unwrap_or_default()
    }

    /// The names from `place` on, of which there has to be one.
    pub fn some_names(&self, place: usize, what: &'static str) -> Result<&[String], BadWords> {
        self.name(place, what)?;
        Ok(self.names(place))
    }

    /// The one of several that was given, when they exclude each other.
    pub fn one_of(&self, options: &[&'static str]) -> Result<Option<&'static str>, BadWords> {
        let given = options.iter().copied().filter(|option| self.has(option)).collect::<Vec<_>>();
        match given.as_slice() {
            [one, other, ..] => Err(BadWords::Both { one, other, verb: self.verb.clone() }),
            given => Ok(given.first().copied()),
        }
    }

    /// Something is missing.
    pub fn missing(&self, what: &'static str) -> BadWords {
        BadWords::Missing { what, verb: self.verb.clone() }
    }

    /// One of two is missing.
    pub fn neither(&self, one: &'static str, other: &'static str) -> BadWords {
        BadWords::Neither { one, other, verb: self.verb.clone() }
    }

    /// Two exclude each other.
    pub fn both(&self, one: &'static str, other: &'static str) -> BadWords {
        BadWords::Both { one, other, verb: self.verb.clone() }
    }

    /// Something cannot be read.
    pub fn bad(&self, what: &'static str, why: &dyn Display) -> BadWords {
        BadWords::Value { what, why: why.to_string(), verb: self.verb.clone() }
    }
}

/// Reads a whole number.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let read = if digits { text.parse().ok() } else { None };
    read.ok_or_else(|| format!("'{}' is not a number that is understood here", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Opt] = &[
        flag("--dry-run", ""),
        value("--size", "SIZE", ""),
        values("--on", "DISK", ""),
        values("--wipe", "WORD", ""),
    ];

    fn read(words: &[&str]) -> Result<Words, BadWords> {
        Words::read("evms x", TABLE, 2, words)
    }

    #[test]
    fn options_stand_anywhere_and_names_keep_their_order() {
        let words =
            read(&["a", "--size", "-1G", "--on=1", "b", "--dry-run", "--on", "2", "--wipe", "xfs,ext"])
                .unwrap();
        assert_eq!(words.names(0), ["a", "b"]);
        assert_eq!((words.one("--size"), words.has("--dry-run")), (Some("-1G"), true));
        assert_eq!(words.all("--on"), ["1", "2"]);
        assert_eq!(words.list("--wipe"), ["xfs", "ext"]);
        assert_eq!(read(&["--", "--size"]).unwrap().names(0), ["--size"]);
    }

    #[test]
    fn what_is_not_in_the_table_is_refused_with_what_is() {
        for (words, part) in [
            (
                &["--sise", "1"][..],
                "unknown option '--sise'; nothing was done; evms x has: --dry-run, --size",
            ),
            (&["--siz=1"][..], "unknown option '--siz=1'"),
            (&["-d"][..], "unknown option '-d'"),
            (&["--size"][..], "--size wants a SIZE"),
            (&["--dry-run=yes"][..], "--dry-run takes no value"),
            (&["--size=1", "--size=2"][..], "--size was given twice"),
            (&["a", "b", "c"][..], "'c' is one word too many"),
        ] {
            let refusal = read(words).unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
    }

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(number::<u16>("12"), Ok(12));
        for bad in ["", "+1", "-1", "1.0", "65536", "x"] {
            assert!(number::<u16>(bad).is_err(), "{bad}");
        }
    }
}
