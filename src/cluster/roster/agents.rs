//! The fence agents of a node: `[[fence]]` in its own `/etc/evms.conf`. Passwords stand there, so they are no part of what a cluster
//! agrees on: they are never sent, never compared, and go with the file alone when that is written anew.

use core::fmt;
use std::fmt::Write;

use toml_span::Value;
use toml_span::de_helpers::TableHelper;
use toml_span::value::{Table, ValueInner};

use crate::base::name::Name;
use crate::cluster::roster::BadText;
use crate::cluster::roster::text::{TEXT_BYTES_MAX, Wrong, parsed, tables, wrong};

/// Agents of one node at most.
pub const AGENTS_PER_NODE_MAX: usize = 8;
/// Seconds that one call may take at most.
pub const TIMEOUT_S_MAX: u64 = 300;
/// More tries of one agent at most.
pub const RETRIES_MAX: u64 = 5;
/// Bytes of all that an agent is told at most: what a pipe takes at once, so that nobody waits for one that does not read.
pub const INPUT_BYTES_MAX: usize = 4096;
/// Bytes of the name or path of a program at most.
const PROGRAM_BYTES_MAX: usize = 255;
/// Bytes that are left for what evms itself tells it.
const ACTION_BYTES: usize = 64;
/// Milliseconds between two tries of one agent: what cut the power may take a moment to say so.
pub const PAUSE_MS: u64 = 1000;
/// Milliseconds for one that is killed to be gone.
pub const KILL_MS: u64 = 1000;
/// What evms says itself; `option` is what agents called `action` once.
const OWN_OPTIONS: [&str; 2] = ["action", "option"];
/// Parts of names of options whose values are nobody's business.
const SECRETS: [&str; 6] = ["pass", "secret", "token", "key", "community", "snmp_priv"];

/// A program that cuts the power of one node, and what it is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Agent {
    /// Whose power it cuts.
    pub node: Name,
    /// A path, or a name that is looked for.
    pub program: String,
    /// Seconds that one call of it may take.
    pub timeout_s: u64,
    /// How often it is tried again.
    pub retries: u64,
    /// What it is told, by name.
    options: Vec<(String, String)>,
}

impl fmt::Debug for Agent {
    /// What it is told is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}, {} options", self.program, self.node, self.options.len())
    }
}

/// What a file says of agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agents {
    /// Those that can be used, as they stand there.
    pub all: Vec<Agent>,
    /// What is wrong with others.
    pub bad: Vec<BadText>,
    /// Is there anything that others may not read?
    pub secret: bool,
}

impl Agent {
    /// What it reads, to do this.
    pub fn input(&self, action: &str) -> String {
        let mut text = format!("action={action}\n");
        for (name, value) in &self.options {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{name}={value}");
        }
        text
    }

    /// Milliseconds that all tries of it take at most: each is two calls.
    pub fn limit_ms(&self) -> u64 {
        let try_ms = 2 * (self.timeout_s * 1000 + KILL_MS);
        try_ms * (self.retries + 1) + PAUSE_MS * self.retries
    }

    /// What it said, with nothing in it that it was told in confidence.
    pub fn hush(&self, said: &str) -> String {
        let is_secret = |name: &str| SECRETS.iter().any(|part| name.contains(part));
        let secrets = self.options.iter().filter(|(name, value)| is_secret(name) && !value.is_empty());
        secrets.fold(said.into(), |said: String, (_, value)| said.replace(value.as_str(), "***"))
    }
}

impl Agents {
    /// Reads them; `knows` a node by its name. One that cannot be used spoils no other.
    pub fn parse(text: &str, knows: impl Fn(&str) -> bool) -> Agents {
        let mut agents = Agents::default();
        if text.len() > TEXT_BYTES_MAX {
            return agents;
        }
        // What is no TOML at all is the roster's to tell.
        let Ok(mut value) = toml_span::parse(text) else { return agents };
        let sections = TableHelper::new(&mut value).map_err(Wrong::from);
        let sections = sections.and_then(|mut table| tables(&mut table, "fence"));
        let sections = sections.unwrap_or_else(|bad| {
            agents.bad.push(bad.in_text(text));
            Vec::new()
        });
        // Whoever writes the rest of the file anew keeps these lines and no others.
        let kept = own_part(text).lines().filter(|line| line.trim_start().starts_with("[[")).count();
        if kept != sections.len() {
            let words = "fence agents have to be sections of their own, each under a line [[fence]]";
            agents.bad.push(BadText { line: 1, what: words.into() });
            return agents;
        }
        for section in sections {
            agents.secret |= section.has_key("options");
            match agents.read(section, &knows) {
                Ok(agent) => agents.all.push(agent),
                Err(bad) => agents.bad.push(bad.in_text(text)),
            }
        }
        agents
    }

    fn read(&self, section: Value<'_>, knows: &impl Fn(&str) -> bool) -> Result<Agent, Wrong> {
        let (span, mut section) = (section.span, section);
        let mut table = TableHelper::new(&mut section)?;
        let node = parsed(&mut table, "node", "name of a node", |text| Name::parse_node(text).ok())?;
        if !knows(node.as_str()) {
            return Err(wrong(span, format!("there is no node '{node}' whose power could be cut")));
        }
        let program = parsed(&mut table, "agent", "program: a path from /, or a name without one", program)?;
        let timeout_s = number(&mut table, "timeout_s", 20, 1..=TIMEOUT_S_MAX)?;
        let retries = number(&mut table, "retries", 1, 0..=RETRIES_MAX)?;
        let options = match table.take("options") {
            Some((_, mut value)) => match (value.span, value.take()) {
                (_, ValueInner::Table(all)) => options(all)?,
                (span, _) => return Err(wrong(span, "these are written as [fence.options]")),
            },
            None => Vec::new(),
        };
        table.finalize(None)?;
        if self.of(node.as_str()).count() >= AGENTS_PER_NODE_MAX {
            return Err(wrong(
                span,
                format!("node '{node}' has {AGENTS_PER_NODE_MAX} agents already, the most"),
            ));
        }
        let agent = Agent { node, program, timeout_s, retries, options };
        let bytes = agent.input("").len();
        if bytes > INPUT_BYTES_MAX - ACTION_BYTES {
            let most = INPUT_BYTES_MAX - ACTION_BYTES;
            return Err(wrong(span, format!("its options are {bytes} bytes long, and {most} are the most")));
        }
        Ok(agent)
    }

    /// Those of one node, in the order in which they are tried.
    pub fn of(&self, node: &str) -> impl Iterator<Item = &Agent> {
        self.all.iter().filter(move |agent| agent.node.as_str() == node)
    }

    /// Milliseconds that all of one node's take at most.
    pub fn limit_ms(&self, node: &str) -> u64 {
        self.of(node).map(Agent::limit_ms).sum()
    }
}

fn program(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic();
    let is_path = text.starts_with('/') && !text.ends_with('/');
    let may = (1..=PROGRAM_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
    (may && (is_path || !text.contains('/'))).then(|| text.into())
}

fn number(
    table: &mut TableHelper<'_>,
    key: &'static str,
    otherwise: u64,
    range: core::ops::RangeInclusive<u64>,
) -> Result<u64, Wrong> {
    let Some(found) = table.optional_s::<u64>(key) else { return Ok(otherwise) };
    if range.contains(&found.value) {
        return Ok(found.value);
    }
    let words = format!("'{key}' is {}, and has to be {} to {}", found.value, range.start(), range.end());
    Err(wrong(found.span, words))
}

fn options(all: Table<'_>) -> Result<Vec<(String, String)>, Wrong> {
    let mut options = Vec::new();
    for (key, mut value) in all {
        let name = key.name.to_string();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || !name.bytes().all(plain) {
            let words = format!("'{}' is no name of an option", name.escape_debug());
            return Err(wrong(key.span, words));
        }
        if OWN_OPTIONS.contains(&name.as_str()) {
            return Err(wrong(key.span, format!("'{name}' is said by evms itself; leave it out")));
        }
        let text = match (value.span, value.take()) {
            (_, ValueInner::String(text)) => text.into_owned(),
            (_, ValueInner::Integer(number)) => number.to_string(),
            (_, ValueInner::Boolean(is)) => u8::from(is).to_string(),
            (span, _) => {
                return Err(wrong(
                    span,
                    format!("option '{name}' has to be a text, a number, true or false"),
                ));
            }
        };
        // A line of its own would be another option. What it says is not shown.
        if text.chars().any(char::is_control) {
            let words =
                format!("option '{name}' has a character in it that ends a line, or is none that is seen");
            return Err(wrong(value.span, words));
        }
        options.push((name, text));
    }
    Ok(options)
}

/// The lines of a file that are its node's own, for whoever writes the rest of it anew. Not by their meaning: what cannot be used
/// yet is not lost either.
pub fn own_part(text: &str) -> String {
    let mut own = String::new();
    let mut is_own = false;
    for line in text.lines() {
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let name = header.trim_start_matches(['[', ' ', '\t']);
            let first = name.split([']', '.', ' ', '\t']).next().unwrap_or_default();
            is_own = first.trim_matches(['"', '\'']) == "fence";
            if is_own && name.len() < header.len() {
                own.push('\n');
            }
        }
        if is_own && !line.trim().is_empty() {
            own.push_str(line);
            own.push('\n');
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::roster::Roster;

    const OWN: &str = "
[[fence]]
node = \"n2\"
agent = \"fence_ipmilan\"
timeout_s = 30
retries = 0
[fence.options]
ip = \"10.0.0.2\" # its board
password = \"se=cret\"
lanplus = true
port = 623

[[fence]]
node = \"n2\"
agent = \"/opt/pdu\"
";
    const ROSTER: &str = "\
cluster = \"prod\"
id = \"11111111-1111-4111-8111-111111111111\"
generation = 3

[[node]]
id = 1
name = \"n1\"
machine = \"22222222-2222-4222-8222-222222222222\"
links = [\"10.0.0.1\"]
votes = 1
";

    fn parse(text: &str) -> Agents {
        Agents::parse(text, |name| name == "n2")
    }

    #[test]
    fn agents_are_read_and_told_what_stands_there() {
        let agents = parse(OWN);
        assert_eq!(agents.bad, []);
        let [ipmi, pdu] = agents.all.as_slice() else { panic!("{agents:?}") };
        assert_eq!(ipmi.input("off"), "action=off\nip=10.0.0.2\nlanplus=1\npassword=se=cret\nport=623\n");
        assert_eq!((ipmi.timeout_s, ipmi.retries, ipmi.limit_ms()), (30, 0, 62_000));
        // Twice two calls of 20 s, a second each to be gone, and one between the tries.
        assert_eq!((pdu.timeout_s, pdu.retries, pdu.limit_ms()), (20, 1, 85_000));
        assert_eq!((agents.limit_ms("n2"), agents.limit_ms("n1")), (147_000, 0));
        assert!(agents.secret && !parse(&OWN.replace("[fence.options]", "#")).secret);
    }

    #[test]
    fn what_is_told_in_confidence_is_not_shown() {
        let agents = parse(OWN);
        let shown = format!("{agents:?}");
        assert!(shown.contains("fence_ipmilan") && !shown.contains("se=cret"), "{shown}");
        assert_eq!(agents.all[0].hush("login se=cret at 10.0.0.2"), "login *** at 10.0.0.2");
    }

    #[test]
    fn one_that_cannot_be_used_is_told_with_its_line_and_spoils_no_other() {
        let told = |from: &str, to: &str| {
            assert!(OWN.contains(from));
            let agents = parse(&OWN.replacen(from, to, 1));
            assert_eq!((agents.all.len(), agents.bad.len()), (1, 1), "{to}");
            agents.bad[0].to_string()
        };
        assert_eq!(told("\"n2\"", "\"n3\""), "line 2: there is no node 'n3' whose power could be cut");
        assert!(told("= 30", "= 301").starts_with("line 5: 'timeout_s' is 301, and has to be 1 to 300"));
        assert!(told("= 30", "= 0").contains("1 to 300"));
        assert!(told("retries = 0", "retries = 6").contains("0 to 5"));
        assert!(told("retries", "retris").contains("'retris' is not known"));
        assert!(told("\"fence_ipmilan\"", "\"bin/fence\"").contains("no program"));
        assert!(told("\"fence_ipmilan\"", "\"\"").contains("no program"));
        assert!(told("port = 623", "action = \"on\"").contains("evms itself"));
        assert!(told("port = 623", "port = [1]").contains("a text, a number"));
        assert!(told("port = 623", "\"a b\" = 1").contains("no name of an option"));
        let lines = told("se=cret", "x\\naction=on");
        assert!(lines.starts_with("line 9: option 'password'") && !lines.contains("action"), "{lines}");
        let long = "x".repeat(INPUT_BYTES_MAX - ACTION_BYTES);
        assert!(told("se=cret", &long).contains("4032 are the most"));
    }

    #[test]
    fn a_node_has_so_many_and_no_more() {
        let one = "[[fence]]\nnode = \"n2\"\nagent = \"a\"\n";
        let agents = parse(&one.repeat(AGENTS_PER_NODE_MAX + 1));
        assert_eq!((agents.all.len(), agents.bad.len()), (AGENTS_PER_NODE_MAX, 1));
        assert_eq!(agents.bad[0].to_string(), "line 25: node 'n2' has 8 agents already, the most");
        assert!(parse("fence = 1\n").bad[0].what.contains("[[fence]]"));
        // It would be lost with the next change that the nodes agree on.
        let inline = parse("fence = [{node = \"n2\", agent = \"a\"}]\n");
        assert!(inline.all.is_empty() && inline.bad[0].what.contains("under a line [[fence]]"), "{inline:?}");
    }

    #[test]
    fn the_rest_of_a_file_may_be_written_anew() {
        let file = format!("{ROSTER}{OWN}[timing]\nbeat = 200\n\n[[fence]]\nnode = \"n2\"\nagent = broken\n");
        let own = own_part(&file);
        assert!(
            own.contains("agent = broken") && own.contains("# its board") && !own.contains("machine"),
            "{own}"
        );
        assert!(!own.contains("beat"), "{own}");
        let roster = Roster::parse(&format!("{ROSTER}{OWN}")).unwrap();
        let text = roster.to_text();
        assert!(!text.contains("fence"), "it is no part of what is agreed on: {text}");
        let anew = format!("{text}{}", own_part(&format!("{ROSTER}{OWN}")));
        assert_eq!(Roster::parse(&anew).unwrap(), roster);
        assert_eq!(parse(&anew), parse(OWN));
        assert_eq!(own_part(&anew), own_part(OWN));
    }
}
