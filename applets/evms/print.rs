//! Reports as text, for somebody who reads them at three in the morning: tables first, then every problem on a line
//! of its own, then what to do.

use std::collections::BTreeMap;

use evms::base::epoch::Epoch;
use evms::base::sorted::sort_by_key;
use evms::run::report::{
    BackedUp, Changed, CheckReport, ContainerLine, DiskLine, History, ListWhat, Listing, ObjectLine,
    VolumeLine, WriteLine,
};

use crate::evms::table::{Table, clean, count, size};

/// Text blocks with a blank line between them; empty ones are left out.
pub fn blocks(parts: &[String]) -> String {
    parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("\n")
}

/// Sentences with a word before each.
pub fn sentences<'a>(word: &str, sentences: impl IntoIterator<Item = &'a String>) -> String {
    sentences.into_iter().map(|text| format!("{word}: {}\n", clean(text))).collect()
}

/// What a changing verb did, or would do.
pub fn changed(report: &Changed) -> String {
    let done = clean(&report.done);
    let notes = sentences("note", &report.notes);
    match (report.already_so, report.dry_run) {
        (true, _) => format!("already so: {done}\n{notes}"),
        (false, false) => format!("{done}\n{notes}"),
        (false, true) => {
            let last = "nothing was written: this was a dry run\n".to_string();
            blocks(&[format!("would be done: {done}\n{notes}"), writes(&report.writes), last])
        }
    }
}

/// Writes, a row each.
pub fn writes(writes: &[WriteLine]) -> String {
    let mut table = Table::new(&["DISK", ">SECTOR", ">SECTORS", "WHAT"]);
    let mut writes = writes.iter().collect::<Vec<_>>();
    sort_by_key(&mut writes, |line| (&line.disk, line.sector));
    for line in writes {
        table.row([
            line.disk.clone(),
            line.sector.to_string(),
            line.sectors.to_string(),
            line.what.to_string(),
        ]);
    }
    table.text()
}

/// `list`.
pub fn listing(report: &Listing) -> String {
    let named = |container: &ContainerLine| name(container);
    let problems = report.containers.iter().flat_map(|container| {
        container.problems.iter().map(move |text| format!("container {}: {text}", named(container)))
    });
    let problems = problems
        .chain(namesakes(&report.containers))
        .chain(report.errors.iter().cloned())
        .collect::<Vec<_>>();
    let graph = matches!(report.what, ListWhat::Segments | ListWhat::Regions | ListWhat::Objects);
    let text = blocks(&[
        containers(&report.containers),
        volumes(&report.volumes),
        disks(&report.disks),
        if graph { objects(&report.objects) } else { String::new() },
        sentences("problem", &problems),
    ]);
    if text.is_empty() { format!("{}\n", nothing(report.what)) } else { text }
}

/// Containers that a name alone does not tell apart, one sentence a name.
fn namesakes(lines: &[ContainerLine]) -> Vec<String> {
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.name.is_empty()) {
        ids.entry(&line.name).or_default().push(&line.id);
    }
    let several = ids.into_iter().filter(|(_, ids)| ids.len() > 1);
    several
        .map(|(name, ids)| {
            let many = count(ids.len(), "container");
            format!("{many} are called {name}; name one by its id: {}", ids.join(" or "))
        })
        .collect()
}

fn nothing(what: ListWhat) -> &'static str {
    match what {
        ListWhat::Overview | ListWhat::Disks => "no disks were found; name some with --disk",
        ListWhat::Segments => "no segments",
        ListWhat::Containers => "no containers",
        ListWhat::Regions => "no regions",
        ListWhat::Objects => "no objects",
        ListWhat::Volumes => "no volumes",
    }
}

/// A container's name, or its id where no model tells one.
pub fn name(container: &ContainerLine) -> String {
    if container.name.is_empty() { container.id.clone() } else { container.name.clone() }
}

/// The owner, by name where it has one.
pub fn owner(container: &ContainerLine) -> String {
    match (container.owner.as_str(), container.owner_name.as_str(), container.kind) {
        ("", _, "private") => "nobody yet".into(),
        ("", _, _) => String::new(),
        (node, "", _) => node.into(),
        (_, name, _) => name.into(),
    }
}

fn containers(lines: &[ContainerLine]) -> String {
    let mut table = Table::new(&[
        "CONTAINER",
        "TYPE",
        "OWNER",
        ">DISKS",
        ">VOLUMES",
        ">SIZE",
        ">FREE",
        ">GENERATION",
        "STATE",
    ]);
    for line in lines {
        table.row([
            name(line),
            line.kind.into(),
            owner(line),
            format!("{}/{}", line.disks_here, line.disks),
            line.volumes.to_string(),
            size(line.size_bytes),
            size(line.free_bytes),
            line.generation.to_string(),
            line.state.into(),
        ]);
    }
    table.text()
}

/// `linear`, or `striped over 3, 64 KiB each`.
pub fn layout(line: &VolumeLine) -> String {
    match (line.stripes, line.stripe_bytes) {
        (0 | 1, _) => line.layout.into(),
        (stripes, 0) => format!("{} {stripes}", line.layout),
        (stripes, bytes) => format!("{} {stripes} x {}", line.layout, size(bytes)),
    }
}

/// Volumes, a row each.
pub fn volumes(lines: &[VolumeLine]) -> String {
    let mut table = Table::new(&["VOLUME", ">SIZE", "LAYOUT", "DISKS", "STATE"]);
    for line in lines {
        let disks = line.disks.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
        table.row([line.name.clone(), size(line.size_bytes), layout(line), disks, line.state()]);
    }
    table.text()
}

/// Disks, a row each.
pub fn disks(lines: &[DiskLine]) -> String {
    let mut table = Table::new(&["DISK", ">SIZE", "STATE", "CONTAINER", ">NUMBER", "WHAT"]);
    for line in lines {
        let number = if line.number == 0 { String::new() } else { line.number.to_string() };
        let bytes = if line.size_bytes == 0 { String::new() } else { size(line.size_bytes) };
        table.row([
            line.path.clone(),
            bytes,
            line.state.into(),
            line.container.clone(),
            number,
            line.words.clone(),
        ]);
    }
    table.text()
}

fn objects(lines: &[ObjectLine]) -> String {
    let mut table = Table::new(&["OBJECT", "KIND", "PLUGIN", ">SIZE", "STATE", "STANDS ON"]);
    for line in lines {
        table.row([
            line.name.clone(),
            line.kind.into(),
            line.plugin.into(),
            size(line.size_bytes),
            line.states.join(", "),
            line.on.join(" "),
        ]);
    }
    table.text()
}

/// `check`.
pub fn checked(report: &CheckReport) -> String {
    let finding = |weight: &str, text: String, can: bool, done: bool| {
        let after = match (done, can) {
            (true, _) => " (mended)",
            (false, true) => " (can be mended: --repair)",
            (false, false) => "",
        };
        format!("{weight}: {}{after}\n", clean(&text))
    };
    let lines = report.findings.iter().map(|found| {
        finding(found.weight, format!("{}: {}", found.name, found.words), found.repairable, found.repaired)
    });
    let left = report.findings.iter().filter(|found| !found.repaired).count();
    let looked = format!(
        "{} on {} checked: ",
        count(report.containers.len(), "container"),
        count(report.disks, "disk")
    );
    let said = match (report.findings.len(), left) {
        (0, _) => "all is well".to_string(),
        (found, 0) => format!("{}, all mended", count(found, "finding")),
        (found, left) if found == left => count(found, "finding"),
        (found, left) => format!("{}, {left} left", count(found, "finding")),
    };
    let text = format!("{}{looked}{said}\n", lines.collect::<String>());
    if report.writes.is_empty() {
        return text;
    }
    let last = "nothing was written: this was a dry run\n".to_string();
    blocks(&[text, writes(&report.writes), last])
}

/// `history`; with `--compare` only what differs.
pub fn history(report: &History, compared: bool) -> String {
    if compared {
        return match report.differences.as_slice() {
            [] => "nothing differs\n".into(),
            differences => differences.iter().map(|text| format!("{}\n", clean(text))).collect(),
        };
    }
    let mut table = Table::new(&[">GENERATION", ">EPOCH", "WHEN", "BY", ">VOLUMES", "ON DISKS", "CHANGE"]);
    for line in &report.models {
        let disks = line.kept_on.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
        let words = if line.words.is_empty() { line.kind.into() } else { line.words.clone() };
        table.row([
            line.generation.to_string(),
            Epoch(line.epoch).to_string(),
            line.at.clone(),
            line.by.clone(),
            line.volumes.to_string(),
            disks,
            if line.present { format!("{words} (the present)") } else { words },
        ]);
    }
    table.text()
}

/// `backup`.
pub fn backed_up(report: &BackedUp) -> String {
    format!(
        "the model of container {} (generation {}) is saved in {}, {}\n",
        clean(&report.container),
        report.generation,
        clean(&report.file),
        size(report.bytes)
    )
}
