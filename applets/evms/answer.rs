//! What a verb answers: the report as text or as JSON, and the exit code it ends with.

use evms::format::control::{PingLine, Status};
use evms::run::check;
use evms::run::report::{
    Activated, BackedUp, Changed, CheckReport, Deactivated, History, Info, Listing, Tenure,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::evms::{print, print_active, print_info, print_status};
use crate::exit::Exit;

/// What this machine's disks say of the containers of a cluster.
#[derive(Default)]
pub struct Containers {
    /// Who has each.
    pub told: Vec<Tenure>,
    /// Those of which that cannot be told, and why.
    pub unclear: Vec<String>,
}

/// Version of the JSON that is printed; keys may come with one version, never go or change.
const JSON_VERSION: u32 = 1;

/// The report of a verb.
#[allow(clippy::large_enum_variant)] // One value a command.
pub enum Answer {
    /// Of a change.
    Changed(Changed),
    /// Of `list`.
    Listing(Listing),
    /// Of `info`.
    Info(Info),
    /// Of `check`.
    Checked(CheckReport),
    /// Of `history`, and whether two models were compared.
    History(History, bool),
    /// Of `backup`.
    BackedUp(BackedUp),
    /// Of `activate`.
    Activated(Activated),
    /// Of `deactivate`.
    Deactivated(Deactivated),
    /// Of `status`: and of the containers, where they were looked for.
    Status(Status, Option<Containers>),
    /// Of `why`.
    Why(Status),
    /// Of `why CONTAINER`.
    Tenure(Tenure),
    /// Of `list nodes`.
    Nodes(Status),
    /// Of `node ping`.
    Pinged(PingLine),
    /// It was printed already.
    Printed(Exit),
}

impl Answer {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Answer::Changed(report) => print::changed(report),
            Answer::Listing(report) => print::listing(report),
            Answer::Info(report) => print_info::info(report),
            Answer::Checked(report) => print::checked(report),
            Answer::History(report, compared) => print::history(report, *compared),
            Answer::BackedUp(report) => print::backed_up(report),
            Answer::Activated(report) => print_active::activated(report),
            Answer::Deactivated(report) => print_active::deactivated(report),
            Answer::Status(status, containers) => print_status::status(status, containers.as_ref()),
            Answer::Why(status) => print_status::why(status),
            Answer::Tenure(report) => print_info::tenure(report),
            Answer::Nodes(status) => print_status::nodes(status),
            Answer::Pinged(line) => print_status::pinged(line),
            Answer::Printed(_) => String::new(),
        }
    }

    /// For programs; `None` when it cannot be said in JSON, which only a fault of evms can bring about.
    pub fn json(&self) -> Option<Value> {
        let result = match self {
            Answer::Changed(report) => value(report),
            Answer::Listing(report) => value(report),
            Answer::Info(report) => value(report),
            Answer::Checked(report) => value(report),
            Answer::History(report, _) => value(report),
            Answer::BackedUp(report) => value(report),
            Answer::Activated(report) => value(report),
            Answer::Deactivated(report) => value(report),
            Answer::Status(status, containers) => whole(status, containers.as_ref()),
            Answer::Why(status) => value(status),
            Answer::Tenure(report) => value(report),
            Answer::Nodes(status) => value(&status.nodes),
            Answer::Pinged(line) => value(line),
            Answer::Printed(_) => None,
        };
        Some(json!({ "evms": JSON_VERSION, "result": result? }))
    }

    /// The exit code when the answer was printed.
    pub fn exit(&self) -> Exit {
        match self {
            Answer::Checked(report) if check::damaged(report) => Exit::Damage,
            Answer::Checked(report) => report.refused.map_or(Exit::Done, Exit::from),
            Answer::Activated(report) => report.failed.map_or(Exit::Done, Exit::from),
            Answer::Deactivated(report) => report.failed.map_or(Exit::Done, Exit::from),
            Answer::Printed(exit) => *exit,
            Answer::Listing(report) if !report.errors.is_empty() => Exit::Device,
            _ => Exit::Done,
        }
    }
}

/// A status with the containers in it.
fn whole(status: &Status, containers: Option<&Containers>) -> Option<Value> {
    let mut all = value(status)?;
    if let (Some(object), Some(containers)) = (all.as_object_mut(), containers) {
        object.insert("containers".into(), value(&containers.told)?);
        object.insert("unclear".into(), value(&containers.unclear)?);
    }
    Some(all)
}

fn value(report: &impl Serialize) -> Option<Value> {
    serde_json::to_value(report).ok()
}

/// A refusal for programs.
pub fn refusal(exit: Exit, text: &str) -> Value {
    let kind = match exit {
        Exit::Done => "done",
        Exit::Refused => "refused",
        Exit::Usage => "usage",
        Exit::NotFound => "not found",
        Exit::NotOwner => "not owner or not quorate",
        Exit::Damage => "damage",
        Exit::Device => "device",
        Exit::NoDaemon => "no daemon",
    };
    json!({ "evms": JSON_VERSION, "error": { "kind": kind, "exit": exit.code(), "text": text } })
}
