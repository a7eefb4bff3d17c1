//! The machine's own control (QMP): pause, continue, and whatever else the emulator can be asked.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::limits;
use crate::trouble::Trouble;

/// The control's line.
#[derive(Debug)]
pub struct Control {
    line: BufReader<UnixStream>,
}

impl Control {
    /// Takes the line of a machine that was just turned on.
    pub fn on(line: UnixStream) -> Result<Self, Trouble> {
        let limit = Some(limits::CONTROL.here());
        line.set_read_timeout(limit).map_err(Trouble::io("limiting the control's line"))?;
        let mut control = Self { line: BufReader::new(line) };
        control.hear("the greeting")?;
        control.ask("qmp_capabilities", "{}")?;
        Ok(control)
    }

    /// Asks for something; `arguments` is a JSON object. The answer is the JSON line as it came.
    pub fn ask(&mut self, what: &str, arguments: &str) -> Result<String, Trouble> {
        let request = format!("{{\"execute\": \"{what}\", \"arguments\": {arguments}}}\n");
        let line = self.line.get_mut();
        line.write_all(request.as_bytes()).map_err(Trouble::io(format!("asking the control for {what}")))?;
        loop {
            let answer = self.hear(what)?;
            if answer.starts_with("{\"return\"") {
                return Ok(answer);
            }
            if answer.starts_with("{\"error\"") {
                return Err(Trouble::Control(answer));
            }
            // What is neither tells of an event.
        }
    }

    fn hear(&mut self, awaited: &str) -> Result<String, Trouble> {
        let mut line = String::new();
        let count = self.line.read_line(&mut line);
        match count.map_err(Trouble::io(format!("waiting for the control: {awaited}")))? {
            0 => Err(Trouble::Off { awaited: awaited.into(), heard: String::new() }),
            _ => Ok(line.trim_end().to_string()),
        }
    }
}
