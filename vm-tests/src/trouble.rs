//! What can go wrong on the bench. A test hands it up with `?`; the scene prints it.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::limits::Limit;

/// Why a scene ended early.
pub enum Trouble {
    /// The machine that runs the tests refused something.
    Io {
        /// What was tried.
        doing: String,
        /// What it said.
        source: io::Error,
    },
    /// A part that guests are made of is not there.
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What brings it.
        remedy: &'static str,
    },
    /// The kernel has no such module, neither built in nor beside it.
    NoModule(String),
    /// A wait's limit passed.
    Late {
        /// What was waited for.
        awaited: String,
        /// Which limit.
        limit: Limit,
        /// The last that was heard.
        heard: String,
    },
    /// The machine is off, or turned off in the middle.
    Off {
        /// What was waited for or tried.
        awaited: String,
        /// The last that was heard.
        heard: String,
    },
    /// A command took too long before: what the shell says now cannot be told apart from what it said to that.
    OutOfStep(String),
    /// A command's exit code is not what was wanted.
    Code {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it printed.
        output: String,
    },
    /// The machine's control said no, or something that cannot be understood.
    Control(String),
    /// A guest's answer makes no sense, or is not what the test wants.
    Unexpected(String),
}

/// What a panic said, for who caught it.
pub fn of_panic(why: &(dyn std::any::Any + Send)) -> String {
    let text = why.downcast_ref::<String>().cloned();
    text.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

impl Trouble {
    /// For `map_err`: what was tried.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// For `map_err`: what was tried with which file.
    pub fn file(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{doing} {}", path.display()))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(to, "{doing}: {source}"),
            Self::Missing { path, remedy } => write!(to, "{} is missing: {remedy}", path.display()),
            Self::NoModule(name) => write!(to, "the kernel has no module {name}"),
            Self::Late { awaited, limit, heard } => {
                write!(to, "{awaited}: not within {:?} ({}); heard: {heard:?}", limit.here(), limit.name)
            }
            Self::Off { awaited, heard } => write!(to, "{awaited}: the machine is off; heard: {heard:?}"),
            Self::OutOfStep(command) => write!(to, "the shell still hangs in '{command}'"),
            Self::Code { command, code, output } => {
                write!(to, "exit code {code} of '{command}', which said:\n{output}")
            }
            Self::Control(said) => write!(to, "the machine's control said: {said}"),
            Self::Unexpected(what) => write!(to, "{what}"),
        }
    }
}

/// Tests show troubles by `unwrap` and by their result: the sentence says more than the fields.
impl fmt::Debug for Trouble {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

impl std::error::Error for Trouble {}
