//! `info` as text: one thing in full, its facts below each other.

use evms::base::epoch::Epoch;
use evms::run::report::{
    ContainerLine, DiskLine, Info, MemberLine, PieceLine, Room, Tenure, VolumeLine, WriteLine,
};

use crate::evms::print::{blocks, layout, name, owner, sentences, volumes};
use crate::evms::print_status::span;
use crate::evms::table::{Table, clean, size};

/// Facts below each other; those of which nothing is known are left out.
fn facts(title: String, facts: &[(&str, String)]) -> String {
    let known = facts.iter().filter(|(_, text)| !text.is_empty());
    let width = facts.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let lines = known.map(|(word, text)| format!("  {word:<width$}  {}\n", clean(text)));
    format!("{}\n{}", clean(&title), lines.collect::<String>())
}

/// `info`.
pub fn info(report: &Info) -> String {
    match report {
        Info::Container {
            container,
            extent_bytes,
            template,
            created,
            members,
            volumes: lines,
            room,
            waiting_bytes,
        } => {
            let more = [
                ("space", space(container, *waiting_bytes, *extent_bytes)),
                ("model", self::room(room)),
                (
                    "template",
                    if *template { "its copies get ids of their own".into() } else { String::new() },
                ),
                ("created", created.clone()),
                ("changed", format!("{}: {}", container.changed_at, container.changed)),
            ];
            blocks(&[
                container_facts(container, &more),
                members_table(members),
                volumes(lines),
                sentences("problem", &container.problems),
            ])
        }
        Info::Volume { volume, content, pieces } => {
            blocks(&[volume_facts(volume, content), pieces_table(pieces)])
        }
        Info::Disk { disk, areas } => blocks(&[disk_facts(disk), areas_table(areas)]),
    }
}

/// `why CONTAINER`.
pub fn tenure(report: &Tenure) -> String {
    let seen = |state: &str| if state.is_empty() { String::new() } else { format!(", {state}") };
    let owner = match report.owner.as_str() {
        "" => String::new(),
        owner => format!("{owner} ({}){}", report.owner_node, seen(&report.owner_state)),
    };
    let doubt = if report.committed { "" } else { ", in doubt" };
    let by = if report.by.is_empty() { String::new() } else { format!(" on {}", report.by) };
    let grade = if report.grade.is_empty() { "none".into() } else { report.grade.clone() };
    let top = facts(
        format!("container {}", report.container),
        &[
            ("type", report.kind.into()),
            ("owner", owner),
            ("home", report.home.clone()),
            ("epoch", format!("{}, generation {}{doubt}", Epoch(report.epoch), report.generation)),
            ("since", format!("{}{by}: {}", report.since, report.evidence)),
            ("grade", format!("{grade}: {}", report.grade_why)),
            ("next", report.next.clone()),
        ],
    );
    if report.holders.is_empty() {
        return top;
    }
    let mut fence = Table::new(&["FENCE AGENT", "CUTS", "LAST CALL"]);
    for line in &report.agents {
        let said = if line.said.is_empty() { "none in this boot".into() } else { clean(&line.said) };
        fence.row([clean(&line.agent), clean(&line.node), said]);
    }
    let fence = if report.agents.is_empty() { String::new() } else { fence.text() };
    let mut table = Table::new(&["NODE", "STATE", ">WATCHDOG", "MAY HAVE GATES"]);
    for holder in &report.holders {
        let watchdog = if holder.watchdog_ms == 0 { "none".into() } else { span(holder.watchdog_ms.into()) };
        let may = if holder.counted_out { "no: the others went on without it" } else { "yes" };
        table.row([clean(&holder.name), holder.state.clone(), watchdog, may.into()]);
    }
    blocks(&[top, table.text(), fence])
}

fn container_facts(line: &ContainerLine, more: &[(&'static str, String)]) -> String {
    let who = match (owner(line), line.owner.as_str()) {
        (who, _) if who.is_empty() => line.kind.to_string(),
        (who, node) if node.is_empty() || who == node => format!("{}, owner {who}", line.kind),
        (who, node) => format!("{}, owner {who} ({node})", line.kind),
    };
    let order = format!("{}, epoch {}, generation {}", line.state, Epoch(line.epoch), line.generation);
    let mut all = vec![
        ("id", line.id.clone()),
        ("type", who),
        ("cluster", line.cluster.clone()),
        ("state", order),
        ("disks", format!("{} of {} are here", line.disks_here, line.disks)),
    ];
    all.extend(more.iter().cloned());
    facts(format!("container {}", name(line)), &all)
}

fn space(line: &ContainerLine, waiting: u64, extent: u64) -> String {
    let waiting = match waiting {
        0 => String::new(),
        bytes => format!(", {} free after the next change", size(bytes)),
    };
    format!(
        "{}, {} free{waiting}, in extents of {}",
        size(line.size_bytes),
        size(line.free_bytes),
        size(extent)
    )
}

fn room(room: &Room) -> String {
    format!(
        "{} of {} used ({}%), room for about {} more linear volumes",
        size(room.used_bytes),
        size(room.of_bytes),
        room.percent,
        room.linear_volumes_left
    )
}

fn members_table(lines: &[MemberLine]) -> String {
    let mut table = Table::new(&[">NUMBER", "DISK", "STATE", ">SIZE", ">FREE", "ID", "WWID"]);
    for line in lines {
        let first = if line.first { ", first" } else { "" };
        table.row([
            line.number.to_string(),
            line.path.clone(),
            format!("{}{first}", line.state),
            size(line.size_bytes),
            size(line.free_bytes),
            line.id.clone(),
            line.wwid.clone(),
        ]);
    }
    table.text()
}

fn volume_facts(line: &VolumeLine, content: &str) -> String {
    let disks = line.disks.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    facts(
        format!("volume {}", line.name),
        &[
            ("id", line.id.clone()),
            ("size", size(line.size_bytes)),
            ("layout", layout(line)),
            ("on disks", disks),
            ("state", line.state()),
            ("holds", content.into()),
        ],
    )
}

fn pieces_table(lines: &[PieceLine]) -> String {
    let mut table = Table::new(&[">SECTOR", ">SECTORS", "TARGET", "ON DISK:SECTOR"]);
    for line in lines {
        let on = line.on.iter().map(|(disk, sector)| format!("{disk}:{sector}")).collect::<Vec<_>>();
        table.row([
            line.start_sector.to_string(),
            line.sectors.to_string(),
            line.target.into(),
            on.join(" "),
        ]);
    }
    table.text()
}

fn disk_facts(line: &DiskLine) -> String {
    let of = match line.number {
        0 => line.container.clone(),
        number => format!("{}, disk {number}", line.container),
    };
    facts(
        format!("disk {}", line.path),
        &[
            ("size", if line.size_bytes == 0 { String::new() } else { size(line.size_bytes) }),
            ("WWID", line.wwid.clone()),
            ("state", line.state.into()),
            ("container", of),
            ("what", line.words.clone()),
        ],
    )
}

fn areas_table(areas: &[WriteLine]) -> String {
    let mut table = Table::new(&[">SECTOR", ">SECTORS", "AREA"]);
    for area in areas {
        table.row([area.sector.to_string(), area.sectors.to_string(), area.what.into()]);
    }
    table.text()
}
