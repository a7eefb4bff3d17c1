//! Asks the daemon of this machine.

use core::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::base::epoch::Order;
use crate::base::failure::{Failure, Kind};
use crate::base::id::{ContainerId, DiskId};
use crate::format::control::{
    self, AgentLine, BadFrame, GatesLine, LENGTH_BYTES, OpenGates, PingLine, Question, Refusal, Reply,
    Request, Status, WarrantLine,
};
use crate::host::door;

/// How long an answer is waited for: a daemon that needs longer stands.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// There is no daemon, or it may not be asked.
    NoDaemon(io::Error),
    /// It does not answer.
    Silent(io::Error),
    /// What it answers cannot be read.
    Strange(BadFrame),
    /// It refuses.
    Refused(Refusal, String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::NoDaemon(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "only root may ask evmsd; nothing was done")
            }
            AskError::NoDaemon(error) => write!(
                f,
                "evmsd of this machine cannot be reached ({error}); nothing was done; start it, and see why it does not \
                 start with: evmsd --check"
            ),
            AskError::Silent(error) => write!(
                f,
                "evmsd of this machine does not answer ({error}); what was asked may have been done or not; see its log"
            ),
            AskError::Strange(BadFrame::Version(version)) => write!(
                f,
                "evmsd answers in version {version} of its socket and this evms speaks {}; use programs of one release",
                control::VERSION
            ),
            AskError::Strange(_) => {
                write!(f, "what evmsd answers cannot be read; use an evms and an evmsd of one release")
            }
            AskError::Refused(_, words) => f.write_str(words),
        }
    }
}

impl Failure for AskError {
    fn kind(&self) -> Kind {
        match self {
            AskError::Refused(refusal, _) => (*refusal).into(),
            _ => Kind::NoDaemon,
        }
    }
}

/// A connection to the daemon.
pub struct Asking {
    stream: UnixStream,
}

impl Asking {
    /// Knocks.
    pub fn begin() -> Result<Asking, AskError> {
        let stream = door::knock().map_err(AskError::NoDaemon)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(AskError::NoDaemon)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(AskError::NoDaemon)?;
        Ok(Asking { stream })
    }

    /// Asks, of a node by its name, or of this one when that is empty.
    pub fn ask(&mut self, node: &str, request: Request) -> Result<(), AskError> {
        let question = Question { node: node.into(), request };
        self.stream.write_all(&control::encode(&question)).map_err(AskError::Silent)
    }

    /// The next answer.
    pub fn answer(&mut self) -> Result<Reply, AskError> {
        let mut head = [0; LENGTH_BYTES];
        self.stream.read_exact(&mut head).map_err(AskError::Silent)?;
        let length = control::length_of(head).map_err(AskError::Strange)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).map_err(AskError::Silent)?;
        match control::decode(&body).map_err(AskError::Strange)? {
            Reply::Refused(refusal, words) => Err(AskError::Refused(refusal, words)),
            reply => Ok(reply),
        }
    }

    /// The next answer, which has to be how the cluster is.
    pub fn status(&mut self) -> Result<Status, AskError> {
        match self.answer()? {
            Reply::Status(status) => Ok(*status),
            _ => Err(AskError::Strange(BadFrame::Value)),
        }
    }
}

/// How the cluster is, as a node sees it.
pub fn status(node: &str) -> Result<Status, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask(node, Request::Status)?;
    asking.status()
}

/// The text of the configuration that this node goes by.
pub fn configuration() -> Result<String, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask("", Request::Configuration)?;
    match asking.answer()? {
        Reply::Configuration(text) => Ok(text),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// As whom this machine may act for its cluster.
pub fn warrant() -> Result<WarrantLine, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask("", Request::Warrant)?;
    match asking.answer()? {
        Reply::Warrant(line) => Ok(line),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// Has gates kept and opened.
pub fn open_gates(gates: OpenGates) -> Result<(), AskError> {
    let mut asking = Asking::begin()?;
    asking.ask("", Request::OpenGates(gates))?;
    match asking.answer()? {
        Reply::Done(_) => Ok(()),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// Has the watchdog armed; after how many milliseconds it bites, zero where there is none.
pub fn watchdog() -> Result<u32, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask("", Request::Watchdog)?;
    match asking.answer()? {
        Reply::Watchdog(ms) => Ok(ms),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// The gates of a node.
pub fn gates(node: &str) -> Result<GatesLine, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask(node, Request::Gates)?;
    match asking.answer()? {
        Reply::Gates(gates) => Ok(gates),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// Has a node close a container's gates, suspended by this commit; without one asks whether it may be.
pub fn suspend(node: &str, container: ContainerId, by: Option<Order>) -> Result<(), AskError> {
    done(node, Request::Suspend(container, by))
}

/// Has a node let them go on.
pub fn resume(node: &str, container: ContainerId, by: Order) -> Result<(), AskError> {
    done(node, Request::Resume(container, by))
}

/// Whether a node reads these disks of a container.
pub fn sees(node: &str, container: ContainerId, disks: Vec<DiskId>) -> Result<(), AskError> {
    done(node, Request::Sees(container, disks))
}

fn done(node: &str, request: Request) -> Result<(), AskError> {
    let mut asking = Asking::begin()?;
    asking.ask(node, request)?;
    match asking.answer()? {
        Reply::Done(_) => Ok(()),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// The fence agents of a node. A daemon of another release knows of none.
pub fn agents(node: &str) -> Result<Vec<AgentLine>, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask(node, Request::Agents)?;
    match asking.answer() {
        Ok(Reply::Agents(agents)) => Ok(agents),
        Ok(_) => Err(AskError::Strange(BadFrame::Value)),
        Err(AskError::Refused(Refusal::Unknown, _)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Has this text agreed on as the next configuration; what was done.
pub fn propose(text: &str) -> Result<String, AskError> {
    let mut asking = Asking::begin()?;
    // Every node is asked twice, and one that stands is waited for.
    asking.stream.set_read_timeout(None).map_err(AskError::NoDaemon)?;
    asking.ask("", Request::Propose(text.into()))?;
    match asking.answer()? {
        Reply::Done(words) => Ok(words),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// Has this node leave in good order; what was done.
pub fn leave() -> Result<String, AskError> {
    let mut asking = Asking::begin()?;
    asking.ask("", Request::Leave)?;
    match asking.answer()? {
        Reply::Done(words) => Ok(words),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}

/// Messages of so many bytes to a node and back, so often, so many at one time.
pub fn ping(from: &str, node: &str, bytes: u32, count: u32, at_once: u32) -> Result<PingLine, AskError> {
    let mut asking = Asking::begin()?;
    // A thousand of the longest take their time.
    asking.stream.set_read_timeout(None).map_err(AskError::NoDaemon)?;
    asking.ask(from, Request::Ping { node: node.into(), bytes, count, at_once })?;
    match asking.answer()? {
        Reply::Pinged(line) => Ok(line),
        _ => Err(AskError::Strange(BadFrame::Value)),
    }
}
