//! The text of a roster: TOML, read with the line of what is wrong, written so that equal rosters have equal texts.

use core::fmt;
use core::net::IpAddr;
use std::fmt::Write;

use toml_span::de_helpers::TableHelper;
use toml_span::value::ValueInner;
use toml_span::{DeserError, Span, Value};

use crate::base::id::{ClusterId, DiskId, NodeId, NodeUuid};
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::cluster::configuration::{Configuration, Voter};
use crate::cluster::roster::{ArbitrationDisk, Member, PORT_DEFAULT, Roster};
use crate::cluster::timing::Timing;

/// Bytes of a text at most: 64 nodes with four links each need a fourth of it.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Why a text is no roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText {
    /// Where, from one.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What is wrong, and where in the text it begins.
pub(super) struct Wrong {
    at: usize,
    what: String,
}

impl Wrong {
    /// With its line.
    pub(super) fn in_text(self, text: &str) -> BadText {
        let before = text.as_bytes().get(..self.at).unwrap_or_default();
        BadText { line: before.iter().filter(|&&byte| byte == b'\n').count() + 1, what: self.what }
    }
}

pub(super) fn wrong(span: Span, what: impl Into<String>) -> Wrong {
    Wrong { at: span.start, what: what.into() }
}

impl From<toml_span::Error> for Wrong {
    fn from(error: toml_span::Error) -> Wrong {
        let what = match &error.kind {
            toml_span::ErrorKind::MissingField(field) => format!("'{field}' is missing here"),
            toml_span::ErrorKind::UnexpectedKeys { keys, expected } => {
                let first = keys.first();
                let at = first.map_or(error.span.start, |(_, span)| span.start);
                let key = first.map_or("", |(key, _)| key);
                return Wrong {
                    at,
                    what: format!("'{key}' is not known; known are {}", expected.join(", ")),
                };
            }
            _ => error.to_string(),
        };
        wrong(error.span, what)
    }
}

impl From<DeserError> for Wrong {
    fn from(all: DeserError) -> Wrong {
        match all.errors.into_iter().next() {
            Some(first) => first.into(),
            None => Wrong { at: 0, what: "it cannot be read".into() },
        }
    }
}

/// A text that has to be something.
pub(super) fn parsed<T>(
    table: &mut TableHelper<'_>,
    key: &'static str,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Wrong> {
    let text = table.required_s::<String>(key)?;
    parse(&text.value)
        .ok_or_else(|| wrong(text.span, format!("'{}' is no {what}", text.value.escape_debug())))
}

fn timing(value: Value<'_>) -> Result<Timing, Wrong> {
    let mut value = value;
    let mut table = TableHelper::new(&mut value)?;
    let mut timing = Timing::default();
    for (key, field) in timing.fields() {
        if let Some(ms) = table.optional::<u64>(key) {
            *field = ms;
        }
    }
    if let Some(ppm) = table.optional::<u32>("drift_ppm") {
        timing.drift_ppm = ppm;
    }
    table.finalize(None)?;
    Ok(timing)
}

fn links(table: &mut TableHelper<'_>) -> Result<Vec<IpAddr>, Wrong> {
    let Some((_, mut value)) = table.take("links") else { return Ok(Vec::new()) };
    let span = value.span;
    let ValueInner::Array(all) = value.take() else {
        return Err(wrong(span, "'links' is a list of addresses"));
    };
    let one = |link: Value<'_>| {
        let text = link.as_str().unwrap_or_default();
        text.parse().map_err(|_| wrong(link.span, format!("'{}' is no IP address", text.escape_debug())))
    };
    all.into_iter().map(one).collect()
}

fn node(value: Value<'_>) -> Result<(NodeId, Member, Voter), Wrong> {
    let mut value = value;
    let mut table = TableHelper::new(&mut value)?;
    let id = NodeId(table.required("id")?);
    let name = parsed(&mut table, "name", "name of a node", |text| Name::parse_node(text).ok())?;
    let uuid = parsed(&mut table, "machine", "UUID", NodeUuid::parse)?;
    let links = links(&mut table)?;
    let votes = table.optional("votes").unwrap_or(1);
    let joining = table.optional("joining").unwrap_or(0);
    table.finalize(None)?;
    Ok((id, Member { name, links, joining }, Voter { uuid, votes }))
}

fn arbitration_disk(value: Value<'_>) -> Result<ArbitrationDisk, Wrong> {
    let mut value = value;
    let mut table = TableHelper::new(&mut value)?;
    let path = table.required("disk")?;
    let id = parsed(&mut table, "id", "UUID", DiskId::parse)?;
    table.finalize(None)?;
    Ok(ArbitrationDisk { path, id })
}

/// All tables of this name, which are written as `[[name]]`.
pub(super) fn tables<'a>(table: &mut TableHelper<'a>, name: &'static str) -> Result<Vec<Value<'a>>, Wrong> {
    let Some((_, mut all)) = table.take(name) else { return Ok(Vec::new()) };
    match (all.span, all.take()) {
        (_, ValueInner::Array(all)) => Ok(all),
        (span, _) => Err(wrong(span, format!("these are written as [[{name}]]"))),
    }
}

fn roster(value: &mut Value<'_>) -> Result<Roster, Wrong> {
    let mut table = TableHelper::new(value)?;
    let name = parsed(&mut table, "cluster", "name of a cluster", |text| Name::parse(text).ok())?;
    let cluster = parsed(&mut table, "id", "UUID", ClusterId::parse)?;
    let generation = table.required("generation")?;
    let port = table.optional("port").unwrap_or(PORT_DEFAULT);
    let highest = table.optional("highest").unwrap_or(0);
    let strict = table.optional("strict").unwrap_or(false);
    let arbitration = tables(&mut table, "arbitration")?.into_iter().map(arbitration_disk);
    let arbitration = arbitration.collect::<Result<Vec<_>, _>>()?;
    let arbitration_disks = u8::try_from(arbitration.len()).unwrap_or(u8::MAX);
    let timing = table.take("timing").map_or(Ok(Timing::default()), |(_, value)| timing(value))?;
    let (mut members, mut nodes) = (SmallMap::new(), SmallMap::new());
    // Of the node whose file it is, and of nobody else: `agents` reads that.
    let _ = table.take("fence");
    for value in tables(&mut table, "node")? {
        let span = value.span;
        let (id, member, voter) = node(value)?;
        if members.insert(id, member).is_some() {
            return Err(wrong(span, format!("node {id} is there twice")));
        }
        nodes.insert(id, voter);
    }
    table.finalize(None)?;
    let configuration = Configuration { cluster, generation, nodes, arbitration_disks, timing };
    Ok(Roster { name, port, highest, strict, arbitration, members, configuration })
}

/// A path as TOML has it.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

impl ArbitrationDisk {
    /// Its lines.
    pub fn to_text(&self) -> String {
        format!("\n[[arbitration]]\ndisk = {}\nid = \"{}\"\n", quoted(&self.path), self.id)
    }
}

impl Roster {
    /// Reads a text. Whether it is a cluster that can work is another question: [`Roster::check`].
    pub fn parse(text: &str) -> Result<Roster, BadText> {
        if text.len() > TEXT_BYTES_MAX {
            let what = format!("{} bytes are more than {TEXT_BYTES_MAX}", text.len());
            return Err(BadText { line: 1, what });
        }
        let read = toml_span::parse(text).map_err(Wrong::from).and_then(|mut value| roster(&mut value));
        read.map_err(|wrong| wrong.in_text(text))
    }

    /// The text of it.
    pub fn to_text(&self) -> String {
        let configuration = &self.configuration;
        let mut text = format!(
            "cluster = \"{}\"\nid = \"{}\"\ngeneration = {}\nport = {}\n\n[timing] # milliseconds\n",
            self.name, configuration.cluster, configuration.generation, self.port
        );
        let mut timing = configuration.timing;
        if self.highest > 0 {
            // Before the tables: behind one it would be a part of that.
            text = text.replacen("\n\n[timing]", &format!("\nhighest = {}\n\n[timing]", self.highest), 1);
        }
        if self.strict {
            text = text.replacen("\n\n[timing]", "\nstrict = true\n\n[timing]", 1);
        }
        for (key, field) in timing.fields() {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{key} = {field}");
        }
        let _ = writeln!(text, "drift_ppm = {}", timing.drift_ppm);
        for disk in &self.arbitration {
            text.push_str(&disk.to_text());
        }
        for (id, member) in &self.members {
            let voter = configuration.nodes.get(id);
            let (uuid, votes) = voter.map_or((NodeUuid::NONE, 0), |voter| (voter.uuid, voter.votes));
            let links = member.links.iter().map(|link| format!("\"{link}\"")).collect::<Vec<_>>().join(", ");
            let _ = write!(
                text,
                "\n[[node]]\nid = {id}\nname = \"{}\"\nmachine = \"{uuid}\"\nlinks = [{links}]\nvotes = {votes}\n",
                member.name
            );
            if member.joining > 0 {
                let _ = writeln!(text, "joining = {}", member.joining);
            }
        }
        text
    }
}
