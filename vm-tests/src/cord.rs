//! The power cord of a process: a machine, or something that serves machines.

use std::process::{Child, Command, Stdio};

use crate::trouble::Trouble;

/// A running process. However the test ends, even killed, the process ends with it: a second one sleeps on a pipe that
/// only the test holds, and pulls the cord when it closes.
#[derive(Debug)]
pub(crate) struct Cord {
    process: Child,
    watcher: Child,
}

impl Cord {
    pub(crate) fn plug(mut command: Command) -> Result<Self, Trouble> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut process = command.spawn().map_err(Trouble::io(format!("starting {name}")))?;
        let watcher = Command::new("/bin/sh")
            .args(["-c", "read -r _; kill -9 $1", "watcher", &process.id().to_string()])
            .stdin(Stdio::piped())
            .spawn();
        match watcher {
            Ok(watcher) => Ok(Self { process, watcher }),
            Err(source) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(Trouble::Io { doing: "starting the watcher".into(), source })
            }
        }
    }

    /// The watcher goes before the process is waited for: until then nobody else can have its number.
    pub(crate) fn pull(&mut self) -> Result<(), Trouble> {
        self.process.kill().map_err(Trouble::io("pulling the cord"))?;
        self.collect()
    }

    pub(crate) fn collect(&mut self) -> Result<(), Trouble> {
        let _ = self.watcher.kill();
        self.watcher.wait().map_err(Trouble::io("ending the watcher"))?;
        self.process.wait().map_err(Trouble::io("collecting the process"))?;
        Ok(())
    }
}

impl Drop for Cord {
    fn drop(&mut self) {
        let _ = self.pull();
    }
}
