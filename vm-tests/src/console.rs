//! The shell on a guest's first serial line. Each command stands between marks of its own, and the line is raw: what
//! a command prints comes back byte by byte. `guest/init` is the other end. The kernel speaks on another line.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::limits::{self, Limit};
use crate::stream::Stream;
use crate::trouble::Trouble;

const READY: &[u8] = b"evms guest is ready\n";

/// What the line of a whole machine takes unread: the kernel keeps 64 KiB for a serial line.
pub(crate) const PIECE_BYTES: usize = 32 << 10;
/// The line of a user-mode machine takes 4 KiB, and hears nothing more once it had to be held up.
pub(crate) const PIECE_BYTES_USER_MODE: usize = 3 << 10;

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it printed, both streams in order.
    pub bytes: Vec<u8>,
}

impl Output {
    /// What it printed, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The shell.
#[derive(Debug)]
pub struct Console {
    line: UnixStream,
    stream: Stream,
    piece_bytes_max: usize,
    commands_count: u64,
    /// The command that did not come back.
    hangs_in: Option<String>,
}

impl Console {
    /// Takes the line of a machine that was just turned on, which takes so many bytes unread.
    pub fn on(line: UnixStream, log: &Path, piece_bytes_max: usize) -> Result<Self, Trouble> {
        let listening = line.try_clone().map_err(Trouble::io("sharing the serial line"))?;
        let stream = Stream::listen(listening, log)?;
        Ok(Self { line, stream, piece_bytes_max, commands_count: 0, hangs_in: None })
    }

    /// Waits until the shell is there; what was said before is answered.
    pub fn wait_for_boot(&self, limit: Limit) -> Result<Vec<u8>, Trouble> {
        self.stream.wait_for(READY, limit)
    }

    /// Waits until the machine is off.
    pub fn wait_for_end(&self, awaited: &str, limit: Limit) -> Result<(), Trouble> {
        self.stream.wait_for_end(awaited, limit)
    }

    /// Runs a command, which may have many lines, in a shell of its own without input.
    pub fn run(&mut self, command: &str, limit: Limit) -> Result<Output, Trouble> {
        let mark = self.next_mark()?;
        self.send(format!("run {mark} {}\n", quoted(command)).as_bytes())?;
        let output = self.answer(&mark, limit);
        self.note_hanging(command, output)
    }

    /// Sends a command of which no answer is awaited, because it ends the shell.
    pub fn send_last(&mut self, command: &str) -> Result<(), Trouble> {
        let mark = self.next_mark()?;
        self.send(format!("run {mark} {}\n", quoted(command)).as_bytes())
    }

    /// Sends a command of which no answer is awaited. Ask [`Console::last_code`] once the machine is off.
    pub fn send_unawaited(&mut self, command: &str) -> Result<(), Trouble> {
        self.send_last(command)?;
        self.hangs_in = Some(command.into());
        Ok(())
    }

    /// The exit code of a command that nobody waited for, when it came before the machine was off.
    pub fn last_code(&self) -> Result<Option<i32>, Trouble> {
        let end = format!("mark-of-command-{}>>", self.commands_count);
        match self
            .stream
            .wait_for(end.as_bytes(), limits::POWER_OFF)
            .and_then(|_| self.code(limits::POWER_OFF))
        {
            Ok(code) => Ok(Some(code)),
            Err(Trouble::Off { .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Appends bytes to a file in the guest.
    pub fn append(&mut self, path: &str, bytes: &[u8]) -> Result<(), Trouble> {
        for piece in bytes.chunks(self.piece_bytes_max) {
            let mark = self.next_mark()?;
            self.send(format!("take {mark} {} {}\n", piece.len(), quoted(path)).as_bytes())?;
            self.send(piece)?;
            let command = format!("take {} bytes to {path}", piece.len());
            let output = self.answer(&mark, limits::PIECE);
            let output = self.note_hanging(&command, output)?;
            if output.code != 0 {
                return Err(Trouble::Code { command, code: output.code, output: output.text() });
            }
        }
        Ok(())
    }

    fn next_mark(&mut self) -> Result<String, Trouble> {
        if let Some(command) = &self.hangs_in {
            return Err(Trouble::OutOfStep(command.clone()));
        }
        self.commands_count += 1;
        Ok(format!("mark-of-command-{}", self.commands_count))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if bytes.len() > self.piece_bytes_max {
            return Err(Trouble::Unexpected(format!(
                "{} bytes are too long for one command: send a file",
                bytes.len()
            )));
        }
        self.line.write_all(bytes).map_err(Trouble::io("writing to the serial line"))
    }

    fn answer(&self, mark: &str, limit: Limit) -> Result<Output, Trouble> {
        self.stream.wait_for(format!("<<{mark}\n").as_bytes(), limit)?;
        let bytes = self.stream.wait_for(format!("{mark}>>").as_bytes(), limit)?;
        Ok(Output { code: self.code(limit)?, bytes })
    }

    /// The number behind an end's mark.
    fn code(&self, limit: Limit) -> Result<i32, Trouble> {
        let code = String::from_utf8_lossy(&self.stream.wait_for_line(limit)?).into_owned();
        code.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{code}' is no exit code")))
    }

    fn note_hanging(&mut self, command: &str, output: Result<Output, Trouble>) -> Result<Output, Trouble> {
        output
            .inspect_err(|_| self.hangs_in = Some(command.into()))
            .map_err(|trouble| named(command, trouble))
    }
}

/// The person wants to know which command was late, not which mark.
fn named(command: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Late { limit, heard, .. } => Trouble::Late { awaited: format!("'{command}'"), limit, heard },
        Trouble::Off { heard, .. } => Trouble::Off { awaited: format!("'{command}'"), heard },
        other => other,
    }
}

/// One word of one line for the guest's shell, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("$'");
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_and_one_word() {
        assert_eq!(quoted("printf '%s\\n' a\nb"), r"$'printf \'%s\\n\' a\nb'");
    }
}
