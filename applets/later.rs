//! Applets whose daemon this build does not have. They keep the manners of the others and say honestly what they
//! are not, so that a script that meets an older build reads a reason and a code instead of "no such command".

use std::fmt;

use evms::base::failure::{Failure, Kind};

use crate::exit::{self, Exit};
use crate::out;
use crate::usage::{self, Usage};

/// An applet that will come.
pub struct Later {
    /// Its name.
    pub name: &'static str,
    /// Its help, without the table of exit codes.
    pub help: &'static str,
    /// Options it is going to have: not called unknown, though nothing follows from them yet.
    pub options: &'static [&'static str],
    /// What was not done, in one sentence.
    pub refusal: &'static str,
}

struct NotInThisBuild(&'static str);

impl fmt::Display for NotInThisBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Failure for NotInThisBuild {
    fn kind(&self) -> Kind {
        Kind::NoDaemon
    }
}

impl Later {
    /// Answers `--help` and `--version`; refuses everything else.
    pub fn run(&self, words: &[&str]) -> Exit {
        if let Some(exit) = usage::answer(self.name, || [self.help, "\n", exit::TEXT].concat(), words) {
            return exit;
        }
        match words.iter().find(|word| word.starts_with('-') && !self.knows(word)) {
            Some(option) => {
                out::refuse(self.name, &Usage::UnknownOption { option: (*option).into(), applet: self.name })
            }
            None => out::refuse(self.name, &NotInThisBuild(self.refusal)),
        }
    }

    fn knows(&self, word: &str) -> bool {
        let option = word.split_once('=').map_or(word, |(option, _)| option);
        self.options.contains(&option)
    }
}
