//! How the cluster is, for people: what matters first, then node by node, then what changed.

use evms::base::epoch::Epoch;
use evms::base::time::WallTime;
use evms::format::control::{ChangeLine, DiskLine, NodeLine, PingLine, Status};

use crate::evms::answer::Containers;
use crate::evms::table::{Table, clean};

/// Milliseconds as people say them.
pub fn span(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// All of it.
pub fn status(status: &Status, disks: Option<&Containers>) -> String {
    begin(status) + &end(status, disks)
}

/// What is told first: it needs no disk.
pub fn begin(status: &Status) -> String {
    let mut text = format!(
        "cluster  {} (configuration {}), seen by {}, up {}\n",
        clean(&status.cluster),
        status.generation,
        clean(&status.node),
        span(status.up_ms)
    );
    text.push_str(&quorum(status));
    text.push_str(&match &status.view {
        Some(view) => {
            format!("view     {} for {}: {}\n", view.number, span(view.since_ms), view.members.join(" "))
        }
        None => "view     none\n".to_string(),
    });
    text.push('\n');
    text + &nodes(status)
}

/// And what comes behind it.
pub fn end(status: &Status, disks: Option<&Containers>) -> String {
    let mut text = String::new();
    text.push_str(&disks.map(containers).unwrap_or_default());
    let links = links(status);
    if !links.is_empty() {
        text.push('\n');
        text.push_str(&links);
    }
    text.push_str(&arbitration(status));
    text.push_str(&changes(&status.changes));
    text.push_str(&traffic(status));
    text
}

/// Who has what, since when and on which evidence.
fn containers(disks: &Containers) -> String {
    let mut text = String::new();
    if !disks.told.is_empty() {
        let mut table = Table::new(&[
            "CONTAINER",
            "TYPE",
            "OWNER",
            "HOME",
            "GRADE",
            "EPOCH",
            "SINCE",
            "BY",
            "WHAT WAS DONE",
        ]);
        for line in &disks.told {
            let owner = match line.owner_state.as_str() {
                "" | "here" | "member" => line.owner.clone(),
                state => format!("{}, {state}", line.owner),
            };
            let doubt = if line.committed { "" } else { ", in doubt" };
            table.row([
                clean(&line.container),
                line.kind.into(),
                clean(&owner),
                clean(&line.home),
                line.grade.clone(),
                format!("{}{doubt}", Epoch(line.epoch)),
                line.since.clone(),
                clean(&line.by),
                clean(&line.evidence),
            ]);
        }
        text = format!("\n{}", table.text());
    }
    for why in &disks.unclear {
        text.push_str(&format!("\n{}\n", clean(why)));
    }
    text
}

fn quorum(status: &Status) -> String {
    let quorum = &status.quorum;
    let word = if quorum.quorate { "yes" } else { "NO" };
    format!("quorum   {word}: {}\n", clean(&quorum.why))
}

/// The nodes.
pub fn nodes(status: &Status) -> String {
    let mut table =
        Table::new(&["NODE", ">ID", ">VOTES", "STATE", ">HEARD", "BOOT", ">SESSION", "NOT HEARD BY"]);
    for node in &status.nodes {
        table.row([
            node.name.clone(),
            node.id.to_string(),
            node.votes.to_string(),
            node.state.clone(),
            heard(node),
            node.incarnation.clone(),
            if node.session == 0 { String::new() } else { node.session.to_string() },
            node.suspected_by.join(" "),
        ]);
    }
    table.text()
}

fn heard(node: &NodeLine) -> String {
    match (node.state.as_str(), node.heard_ms) {
        ("here", _) => String::new(),
        (_, Some(ms)) if ms < 1000 => format!("{ms} ms"),
        (_, Some(ms)) => span(ms),
        (_, None) => "never".into(),
    }
}

fn links(status: &Status) -> String {
    let mut table = Table::new(&["LINK TO", ">NO", "ADDRESS", "STATE", ">LOST", ">ROUND TRIP", ">DATAGRAM"]);
    for node in &status.nodes {
        for (number, link) in node.links.iter().enumerate() {
            table.row([
                node.name.clone(),
                (number + 1).to_string(),
                link.address.clone(),
                match (link.up, link.in_use) {
                    (false, _) => "down".into(),
                    (true, true) => "up, in use".into(),
                    (true, false) => "up".into(),
                },
                format!("{}.{} %", link.lost_per_mille / 10, link.lost_per_mille % 10),
                link.round_trip_us.map(|us| format!("{us} us")).unwrap_or_default(),
                if link.datagram_bytes == 0 { String::new() } else { format!("{} B", link.datagram_bytes) },
            ]);
        }
    }
    table.text()
}

fn arbitration(status: &Status) -> String {
    if status.arbitration.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["ARBITRATION DISK", "STATE", ">READ", "TROUBLE"]);
    for disk in &status.arbitration {
        let read = disk.read_ms.map_or("never".into(), |ms| format!("{} ago", span(ms)));
        table.row([clean(&disk.path), disk_state(disk), read, clean(&disk.trouble)]);
    }
    format!("\n{}", table.text())
}

/// Milliseconds after which an answer is so late that somebody should know.
const LATE_MS: u64 = 2000;

fn disk_state(disk: &DiskLine) -> String {
    match disk.asked_ms {
        Some(ms) if ms > LATE_MS => format!("no answer for {}", span(ms)),
        _ if disk.answers => "answers".into(),
        _ => "does not answer".into(),
    }
}

fn changes(changes: &[ChangeLine]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["VIEW", "WHEN", "MEMBERS", "BECAUSE"]);
    for change in changes {
        let at = WallTime { seconds: change.at_seconds };
        table.row([
            change.view.clone(),
            format!("{at} ({} ago)", span(change.ago_ms)),
            change.members.join(" "),
            change.why.clone(),
        ]);
    }
    format!("\n{}", table.text())
}

fn traffic(status: &Status) -> String {
    let traffic = &status.traffic;
    let dropped = [
        (traffic.bad_seal, "forged or damaged"),
        (traffic.unknown_key, "of unknown keys"),
        (traffic.foreign, "of other clusters"),
        (traffic.refused, "of nodes that were refused"),
        (traffic.no_frame, "that are no frames"),
    ];
    let words = dropped.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let words = words.collect::<Vec<_>>();
    if words.is_empty() {
        return String::new();
    }
    format!("\ndatagrams dropped: {}; the last: {}\n", words.join(", "), clean(&traffic.last))
}

/// What was measured.
pub fn pinged(line: &PingLine) -> String {
    let us = |ns: u64| format!("{}.{} us", ns / 1000, ns % 1000 / 100);
    let per_second = line.rounds.saturating_mul(1_000_000_000).checked_div(line.all_ns).unwrap_or(0);
    format!(
        "{} there and back: {} at least, half within {}, 99 of 100 within {}, {} at most; {per_second} a second\n",
        line.rounds,
        us(line.least_ns),
        us(line.median_ns),
        us(line.p99_ns),
        us(line.most_ns)
    )
}

/// Why this node may act, or not, and what would change it.
pub fn why(status: &Status) -> String {
    let mut text = format!(
        "{} is {}: {}\n",
        clean(&status.node),
        if status.quorum.quorate { "quorate" } else { "not quorate" },
        clean(&status.quorum.why)
    );
    if status.quorum.quorate {
        let lease = span(status.quorum.lease_ms);
        text.push_str(&format!("Heard by nobody from now on it would stop in {lease}.\n"));
    }
    for node in status.nodes.iter().filter(|node| node.state != "here") {
        let heard = match node.heard_ms {
            Some(ms) => format!("heard {} ago", span(ms)),
            None => "never heard".into(),
        };
        let up = node.links.iter().filter(|link| link.up).count();
        text.push_str(&format!(
            "  {} ({} votes): {}, {heard}, {up} of {} links up",
            node.name,
            node.votes,
            node.state,
            node.links.len()
        ));
        if !node.suspected_by.is_empty() {
            text.push_str(&format!(", not heard by {}", node.suspected_by.join(" ")));
        }
        text.push('\n');
    }
    if let Some(change) = status.changes.first() {
        text.push_str(&format!(
            "The last view, {}, came {} ago: {}.\n",
            change.view,
            span(change.ago_ms),
            change.why
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_people_say_them() {
        let said =
            [(0, "0.0 s"), (1_450, "1.4 s"), (59_999, "59 s"), (600_000, "10 min"), (7_200_000, "2 h")];
        for (ms, words) in said {
            assert_eq!(span(ms), words);
        }
        assert_eq!(span(200_000_000), "2 days");
    }
}
