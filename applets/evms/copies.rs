//! Verbs on models that were: history, backup, restore.

use std::path::{Path, PathBuf};

use evms::run::history::{RestoreFrom, Which};

use crate::evms::answer::Answer;
use crate::evms::containers::context;
use crate::evms::globals::Globals;
use crate::evms::verbs::Refused;
use crate::evms::words::Words;

const NAME: &str = "NAME";

/// A model that is kept, by its generation or by `GENERATION@EPOCH`.
fn which(text: &str) -> Result<Which, String> {
    Which::parse(text).ok_or_else(|| {
        format!(
            "'{}' is no generation; write it as evms history shows it: 12, or 12@7.1 with its epoch",
            text.escape_debug()
        )
    })
}

/// Two generations; the second may be left out.
fn compare(text: &str) -> Result<(Which, Option<Which>), String> {
    match text.split_once(' ') {
        Some((one, other)) => Ok((which(one)?, Some(which(other)?))),
        None => Ok((which(text)?, None)),
    }
}

/// `--compare 3 5` is one option with two values, which the reader of words does not know: a number behind its
/// first value is taken to it, as `--compare "3 5"`.
pub fn join_generations(words: &[&str]) -> Vec<String> {
    let mut joined = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        joined.push(word.to_string());
        let mut given = match *word {
            "--compare" => words.next().map(ToString::to_string),
            word if word.starts_with("--compare=") => joined.pop(),
            _ => continue,
        };
        if let (Some(given), Some(second)) = (&mut given, words.peek())
            && which(second).is_ok()
        {
            given.push(' ');
            given.push_str(second);
            words.next();
        }
        joined.extend(given);
    }
    joined
}

/// `history`.
pub fn history(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    let compare = words.parsed("--compare", compare)?;
    Ok(Answer::History(context(words, globals)?.history(name, compare)?, compare.is_some()))
}

/// `backup`.
pub fn backup(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let (name, file) = (words.name(0, NAME)?, words.name(1, "FILE")?);
    Ok(Answer::BackedUp(context(words, globals)?.backup(name, Path::new(file))?))
}

/// `restore`.
pub fn restore(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, NAME)?;
    words.one_of(&["--from", "--generation"])?;
    let generation = words.parsed("--generation", which)?;
    let from = match (words.one("--from"), generation) {
        (Some(file), _) => RestoreFrom::File(PathBuf::from(file)),
        (None, Some(which)) => RestoreFrom::Kept(which),
        (None, None) => return Err(words.missing("--from or --generation").into()),
    };
    Ok(Answer::Changed(context(words, globals)?.restore(name, &from)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_generation_belongs_to_the_first() {
        for (words, joined) in [
            (&["data", "--compare", "3"][..], &["data", "--compare", "3"][..]),
            (&["--compare", "3", "5", "data"][..], &["--compare", "3 5", "data"][..]),
            (&["--compare=3", "5", "data"][..], &["--compare=3 5", "data"][..]),
            (&["--compare", "3", "data"][..], &["--compare", "3", "data"][..]),
            (&["5", "--compare"][..], &["5", "--compare"][..]),
        ] {
            assert_eq!(join_generations(words), joined);
        }
        let generation = |generation| Which { generation, epoch: None };
        assert_eq!(compare("3 5"), Ok((generation(3), Some(generation(5)))));
        assert_eq!(compare("3@7.1").unwrap().0.epoch.unwrap().to_string(), "7.1");
        assert!(compare("3 5 7").is_err() && compare("x").is_err());
        assert!(which("3@").is_err() && which("@7.1").is_err() && which("+3").is_err());
    }
}
