//! What came up and what went down, as text.

use evms::run::report::{Activated, Deactivated};

use crate::evms::print::{blocks, sentences};
use crate::evms::table::Table;

/// `activate`.
pub fn activated(report: &Activated) -> String {
    let mut table = Table::new(&["VOLUME", "NODE", "DEVICE", "STATE"]);
    for up in &report.up {
        let state = if up.already_so { "already active" } else { "active" };
        table.row([up.name.clone(), up.node.clone(), up.device.clone(), state.into()]);
    }
    let down = report.down.iter().map(|down| format!("volume {} is not active: {}", down.name, down.why));
    let text = blocks(&[
        table.text(),
        sentences("problem", &down.collect::<Vec<_>>()),
        sentences("left alone", &report.left),
        sentences("note", &report.notes),
    ]);
    if text.is_empty() { "nothing to activate\n".into() } else { text }
}

/// `deactivate`.
pub fn deactivated(report: &Deactivated) -> String {
    let down = report.down.iter().map(|name| format!("volume {name}: deactivated\n")).collect::<String>();
    let text = format!("{down}{}{}", sentences("problem", &report.left), sentences("note", &report.notes));
    if text.is_empty() { "already so: nothing of that is active\n".into() } else { text }
}
