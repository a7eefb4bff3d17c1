//! Options that every verb understands, before or behind it: which disks, who asks, how to answer.

use std::path::PathBuf;

use evms::base::failure::{Failure, Kind};
use evms::base::id::NodeUuid;
use evms::run::context::{Options, host_name};

use crate::evms::words::{BadWords, Opt, Words, find, flag, value, values};

/// Paths in `EVMS_DISKS` stand between these.
const DISKS_BETWEEN: char = ':';

/// The table.
pub const GLOBALS: &[Opt] = &[
    values(
        "--disk",
        "FILE",
        "look at this disk or image file only; may be given several times\n(or EVMS_DISKS=FILE:FILE…)",
    ),
    values("--include", "GLOB", "of this machine's disks look only at these, by path or kernel name"),
    values("--exclude", "GLOB", "of this machine's disks leave these alone"),
    value(
        "--node",
        "NAME",
        "where to run: this machine, its own name or 'local' (or EVMS_NODE);\nstatus, why and list nodes: any node of the cluster",
    ),
    value("--as", "NODE-UUID", "act as the machine with this identity; image files only"),
    value("--node-file", "PATH", "this machine's identity stands here instead of in /etc/evms/node"),
    flag("--json", "answer in JSON, refusals too"),
];

/// What they said.
#[derive(Debug, Default)]
pub struct Globals {
    /// For the command.
    pub options: Options,
    /// Where to run; empty is here.
    pub node: String,
    /// Answer in JSON?
    pub json: bool,
}

/// What the environment may say instead.
#[derive(Default)]
pub struct Surroundings {
    /// `EVMS_DISKS`.
    pub disks: Option<String>,
    /// `EVMS_NODE`.
    pub node: Option<String>,
}

/// `--node` names a machine that only a daemon could reach.
#[derive(Debug)]
pub struct NotReachable(String);

impl std::fmt::Display for NotReachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "node '{}' is not this machine, and other nodes are asked for status, why and list nodes alone by this \
             build; nothing was done; run the command on that node",
            self.0.escape_debug()
        )
    }
}

impl Failure for NotReachable {
    fn kind(&self) -> Kind {
        Kind::NoDaemon
    }
}

/// Sorts `words` into global options and the rest. What stands behind a `--` is the verb's.
pub fn split<'a>(words: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut own, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match find(GLOBALS, word) {
            _ if word == "--" => {
                rest.push(word);
                rest.extend(words.by_ref());
            }
            Some((option, behind)) => {
                own.push(word);
                let takes_next = !option.value.is_empty() && behind.is_none();
                own.extend(takes_next.then(|| words.next()).flatten());
            }
            None => rest.push(word),
        }
    }
    (own, rest)
}

impl Globals {
    /// Reads the global options; what they do not say, the environment may.
    pub fn read(own: &[&str], around: &Surroundings) -> Result<Globals, BadWords> {
        let words = Words::read("evms", GLOBALS, 0, own)?;
        let mut options = Options {
            disks: words.all("--disk").iter().map(PathBuf::from).collect(),
            include: words.list("--include"),
            exclude: words.list("--exclude"),
            ..Options::default()
        };
        let filtered = ["--include", "--exclude"].into_iter().find(|option| words.has(option));
        if options.disks.is_empty() && filtered.is_none() {
            options.disks = around.disks();
        }
        options.acting_as = words.parsed("--as", node_uuid)?;
        if let Some(path) = words.one("--node-file") {
            options.identity.node = path.into();
        }
        if let (true, Some(other)) = (words.has("--disk"), filtered) {
            return Err(BadWords::Both { one: "--disk", other, verb: "evms".into() });
        }
        let node = words.one("--node").or(around.node.as_deref()).unwrap_or("").into();
        Ok(Globals { options, node, json: words.has("--json") })
    }

    /// Refuses to run anywhere but here.
    pub fn refuse_elsewhere(&self) -> Result<(), NotReachable> {
        let mine = host_name();
        match self.node.as_str() {
            "" | "local" => Ok(()),
            node if mine.as_ref().is_some_and(|name| name.as_str() == node) => Ok(()),
            node => Err(NotReachable(node.into())),
        }
    }
}

impl Surroundings {
    fn disks(&self) -> Vec<PathBuf> {
        let paths = self.disks.iter().flat_map(|text| text.split(DISKS_BETWEEN));
        paths.filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }
}

/// Reads a machine's identity.
pub fn node_uuid(text: &str) -> Result<NodeUuid, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    NodeUuid::parse(text).filter(|node| plain && !node.is_none()).ok_or_else(|| {
        format!("'{}' is no node UUID; write 32 hex digits, with or without dashes", text.escape_debug())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globals_stand_before_and_behind_the_verb() {
        let words = ["--disk", "a", "volume", "create", "--size", "1G", "--json", "--disk=b", "--", "--json"];
        let (own, rest) = split(&words);
        assert_eq!(own, ["--disk", "a", "--json", "--disk=b"]);
        assert_eq!(rest, ["volume", "create", "--size", "1G", "--", "--json"]);
        let globals = Globals::read(&own, &Surroundings::default()).unwrap();
        assert_eq!(globals.options.disks, [PathBuf::from("a"), "b".into()]);
    }

    #[test]
    fn the_environment_speaks_when_the_command_line_does_not() {
        let around = Surroundings { disks: Some("x::y".into()), node: Some("elsewhere".into()) };
        let disks = |own: &[&str]| Globals::read(own, &around).unwrap().options.disks;
        assert_eq!(disks(&[]), [PathBuf::from("x"), "y".into()]);
        assert_eq!(disks(&["--disk", "z"]), [PathBuf::from("z")]);
        assert_eq!(disks(&["--exclude", "sdz"]), Vec::<PathBuf>::new());
        let elsewhere = |own: &[&str]| Globals::read(own, &around).unwrap().refuse_elsewhere().is_err();
        assert!(elsewhere(&[]) && !elsewhere(&["--node", "local"]));
    }
}
