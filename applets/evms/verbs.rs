//! Nouns and verbs: one row each, with its help. What a verb does is a function of its row; a word that is in no
//! row is refused with the rows there are.

use std::fmt;

use evms::base::failure::{Failure, Kind};

use crate::evms::answer::Answer;
use crate::evms::globals::{GLOBALS, Globals};
use crate::evms::words::{self, BadWords, Opt, Words, flag, value, values};
use crate::evms::{activation, cluster, containers, copies, looking, volumes};

/// Why a verb did not do it: anything that can be said and has an exit code.
pub struct Refused(pub Box<dyn Failure>);

impl<F: Failure + 'static> From<F> for Refused {
    fn from(failure: F) -> Refused {
        Refused(Box::new(failure))
    }
}

/// One verb.
pub struct Verb {
    /// Its noun; empty when it stands alone.
    pub noun: &'static str,
    /// Itself.
    pub verb: &'static str,
    /// What stands behind it.
    pub usage: &'static str,
    /// What it is for, in one line of `evms --help`.
    pub line: &'static str,
    /// What its help says besides.
    pub text: &'static str,
    /// Its options.
    pub options: &'static [Opt],
    /// How many words may follow that are no options.
    pub names_max: usize,
    /// Does it.
    pub run: fn(&Words, Globals) -> Result<Answer, Refused>,
}

/// As many names as the shell gives.
const MANY: usize = usize::MAX;

const DRY_RUN: Opt = flag("--dry-run", "write nothing; print every write that would be made, to the sector");
const WIPE: Opt = values(
    "--wipe",
    "WORD",
    "this signature on the disks may be destroyed, by the name that the refusal\ntells: 'xfs', 'gpt'; 'evms' is a label of evms, 'unknown' is data that no\nknown signature explains; several times, or a list with commas",
);
const SLOT: Opt =
    value("--slot", "SIZE", "room for one copy of the model; follows from the disk's size else");
const OWNER: Opt =
    value("--owner", "NODE", "a node UUID, a node's or this machine's name, 'me', or 'none' for nobody yet");
const ON: Opt = values("--on", "DISK", "only on this disk, by path or number; may be given several times");

/// All verbs, in the order of the help.
pub const VERBS: &[Verb] = &[
    Verb {
        noun: "",
        verb: "list",
        usage: "[disks|segments|containers|regions|objects|volumes|nodes]",
        line: "what there is; without a word: containers, volumes and disks",
        text: "Lists what the disks hold, and what is wrong with it. Reads only. A disk that cannot be read is named and the\n\
               rest is listed; the exit code is 6 then. Nodes are those of the cluster that evmsd knows.\n",
        options: &[],
        names_max: 1,
        run: looking::list,
    },
    Verb {
        noun: "",
        verb: "info",
        usage: "NAME",
        line: "all about one container, CONTAINER/VOLUME or disk",
        text: "Tells all about a container (by name or id), a volume (CONTAINER/VOLUME) or a disk (its path). Reads only.\n",
        options: &[],
        names_max: 1,
        run: looking::info,
    },
    Verb {
        noun: "",
        verb: "check",
        usage: "[NAME…] [--repair [--dry-run]]",
        line: "read and compare every copy of everything; mend what is damaged",
        text: "Reads every copy of everything on the disks of these containers, or of all of them, and compares. Writes nothing\n\
               without --repair. The exit code is 5 when damage was found and is left.\n",
        options: &[
            flag("--repair", "write anew what is damaged, from what is sound"),
            flag("--dry-run", "write nothing; say what would be mended"),
        ],
        names_max: MANY,
        run: looking::check,
    },
    Verb {
        noun: "",
        verb: "history",
        usage: "NAME [--compare G1 [G2]]",
        line: "models that the disks of a container keep, and what differs",
        text: "Lists the models that a container had, newest first, as far as its disks keep them. Reads only.\n",
        options: &[value("--compare", "G1 [G2]", "what differs from generation G1 to G2, or to the present")],
        names_max: 1,
        run: copies::history,
    },
    Verb {
        noun: "",
        verb: "backup",
        usage: "NAME FILE",
        line: "save the model of a container in a new file",
        text: "Saves the present model of a container (not the data of its volumes) in FILE, which must not exist yet.\n",
        options: &[],
        names_max: 2,
        run: copies::backup,
    },
    Verb {
        noun: "",
        verb: "restore",
        usage: "NAME (--from FILE | --generation N) [--dry-run]",
        line: "bring the volumes of an earlier model back",
        text: "Gives a container the volumes it had: where they lie, how large they are, what they are called. Name, type,\n\
               owner and disks stay as they are; volumes made since are deleted. Refused when the disks that they lay on are\n\
               gone, or their space was given to others since.\n",
        options: &[
            value("--from", "FILE", "a file made by evms backup"),
            value(
                "--generation",
                "N",
                "a model that the disks keep; see evms history NAME (N@EPOCH where two share N)",
            ),
            DRY_RUN,
        ],
        names_max: 1,
        run: copies::restore,
    },
    Verb {
        noun: "container",
        verb: "create",
        usage: "NAME (--private [--owner NODE] | --shared | --deported) DISK…",
        line: "make a container over disks",
        text: "Labels the disks and makes a container of them. A disk on which anything is found is refused and named.\n\
               Without --owner a private container on block devices is this machine's, one on image files nobody's yet.\n\
               On block devices a node of a cluster makes it the cluster's with --shared, or with a node's name as the\n\
               owner: then evmsd has to be quorate for every change of it.\n",
        options: &[
            flag("--private", "for one machine at a time, its owner"),
            flag("--shared", "for all nodes of a cluster"),
            flag("--deported", "for nobody until it is imported"),
            OWNER,
            flag(
                "--template",
                "its copies get ids of their own when they are imported; for images that are\ncopied to many machines",
            ),
            value("--extent", "SIZE", "its unit of space, whole MiB up to 1 GiB (4 MiB)"),
            SLOT,
            WIPE,
            DRY_RUN,
        ],
        names_max: MANY,
        run: containers::create,
    },
    Verb {
        noun: "container",
        verb: "modify",
        usage: "NAME [--owner NODE] [--type private|shared|deported] [--name NEW]",
        line: "change owner, type or name",
        text: "Changes what is given and leaves the rest.\n\
               A node of the cluster gets it that reads as many of its disks as this one, and not where a\n\
               volume of it is in use here.\n",
        options: &[
            OWNER,
            value("--type", "TYPE", "private, shared or deported"),
            value("--name", "NEW", "the new name"),
            DRY_RUN,
        ],
        names_max: 1,
        run: containers::modify,
    },
    Verb {
        noun: "container",
        verb: "expand",
        usage: "NAME DISK…",
        line: "add disks",
        text: "Labels the disks and adds them to the container. They are looked at and refused as in create.\n",
        options: &[SLOT, WIPE, DRY_RUN],
        names_max: MANY,
        run: containers::expand,
    },
    Verb {
        noun: "container",
        verb: "shrink",
        usage: "NAME DISK…",
        line: "let disks go that no volume uses",
        text: "Takes disks out of the container, by path or number, and wipes their labels. Refused while a volume lies there.\n",
        options: &[DRY_RUN],
        names_max: MANY,
        run: containers::shrink,
    },
    Verb {
        noun: "container",
        verb: "readmit",
        usage: "NAME DISK…",
        line: "take disks back that missed changes",
        text: "A disk that was away while its container was changed is not trusted until it is readmitted, by path or number:\n\
               then it gets the present model. What its volumes missed meanwhile is not brought back by this.\n",
        options: &[DRY_RUN],
        names_max: MANY,
        run: containers::readmit,
    },
    Verb {
        noun: "container",
        verb: "deport",
        usage: "NAME",
        line: "give it away: nobody's until it is imported",
        text: "Makes the container nobody's, so that another machine can import it.\n",
        options: &[DRY_RUN],
        names_max: 1,
        run: containers::deport,
    },
    Verb {
        noun: "container",
        verb: "import",
        usage: "NAME [--new-ids]",
        line: "take a deported or unclaimed container, or make a copy one of its own",
        text: "Takes a container that is deported, or not claimed by any machine yet, for this machine.\n\
               One that another cluster deported comes over into the cluster of this machine, or out of\n\
               any. Where a node there had this node's number, what it wrote is watched first, for as long\n\
               as a takeover waits (13 s).\n",
        options: &[
            flag(
                "--new-ids",
                "the disks are copies: give container, disks and volumes ids of their own. Name\nall disks of one copy with --disk, and no disk of the other",
            ),
            DRY_RUN,
        ],
        names_max: 1,
        run: containers::import,
    },
    Verb {
        noun: "container",
        verb: "takeover",
        usage: "NAME --reason TEXT [--sworn TEXT]",
        line: "take a private container from a machine that is gone",
        text: "Takes a private container from its owner, or counts a node out of a shared one, when that node is not in the view of\n\
               this one. Where it had a watchdog the others do so by themselves once the time of that is over; and then, or when it\n\
               had no gates of the container, nothing has to be sworn. Else it says what may be lost by it, and what has to be\n\
               sworn, and writes nothing. Who took it, from whom, on which evidence and why: evms-fence history.\n",
        options: &[
            value("--reason", "TEXT", "why, for whoever reads the history later"),
            value(
                "--sworn",
                "TEXT",
                "that its owner cannot write to it any more, in the words that are asked for",
            ),
            DRY_RUN,
        ],
        names_max: 1,
        run: containers::takeover,
    },
    Verb {
        noun: "container",
        verb: "delete",
        usage: "NAME",
        line: "delete an empty container and free its disks",
        text: "Wipes the labels of its disks. Refused while it has volumes.\n",
        options: &[DRY_RUN],
        names_max: 1,
        run: containers::delete,
    },
    Verb {
        noun: "volume",
        verb: "create",
        usage: "CONTAINER/VOLUME --size SIZE [--stripes N [--stripe-size SIZE]] [--on DISK]…",
        line: "make a linear or striped volume",
        text: "Makes a volume from free space. Sizes are 10G, 512MiB, 1.5T (powers of 1024) or 100%FREE, and are rounded up to\n\
               whole extents.\n",
        options: &[
            value("--size", "SIZE", "its size"),
            value("--stripes", "N", "spread it over N disks"),
            value("--stripe-size", "SIZE", "how much lies on one disk before the next one's turn (64 KiB)"),
            ON,
            DRY_RUN,
        ],
        names_max: 1,
        run: volumes::create,
    },
    Verb {
        noun: "volume",
        verb: "expand",
        usage: "CONTAINER/VOLUME --size [+]SIZE [--on DISK]… [--fs]",
        line: "make it larger",
        text: "Makes a volume larger: to SIZE, or by +SIZE. Where it is active it is larger at once, under its users; a file\n\
               system on it grows with --fs only.\n",
        options: &[
            value("--size", "[+]SIZE", "its new size, or by how much; +100%FREE takes all that is free"),
            ON,
            flag("--fs", "also grow the file system on it, which is mounted here (ext2 to ext4, btrfs, xfs)"),
            DRY_RUN,
        ],
        names_max: 1,
        run: volumes::expand,
    },
    Verb {
        noun: "volume",
        verb: "shrink",
        usage: "CONTAINER/VOLUME --size [-]SIZE [--lose-data-beyond SIZE]",
        line: "make it smaller",
        text: "Makes a volume smaller: to SIZE, or by -SIZE. Refused when a file system on it states that it needs more, or when\n\
               nobody knows what is on it, unless --lose-data-beyond gives the new size once more.\n",
        options: &[
            value("--size", "[-]SIZE", "its new size, or by how much"),
            value("--lose-data-beyond", "SIZE", "what lies beyond this size may be lost"),
            DRY_RUN,
        ],
        names_max: 1,
        run: volumes::shrink,
    },
    Verb {
        noun: "volume",
        verb: "rename",
        usage: "CONTAINER/VOLUME NEW",
        line: "give it another name",
        text: "Gives a volume another name in its container.\n",
        options: &[DRY_RUN],
        names_max: 2,
        run: volumes::rename,
    },
    Verb {
        noun: "volume",
        verb: "delete",
        usage: "CONTAINER/VOLUME",
        line: "delete it; its data is lost",
        text: "Deletes a volume. Its space is given out again only after another change, so that until then evms restore can\n\
               bring it back.\n",
        options: &[DRY_RUN],
        names_max: 1,
        run: volumes::delete,
    },
    Verb {
        noun: "",
        verb: "activate",
        usage: "NAME… | --all",
        line: "bring volumes up: /dev/evms/CONTAINER/VOLUME",
        text: "Brings the volumes of containers up, or single volumes (CONTAINER/VOLUME), through device-mapper, all of a\n\
               container or none; --all takes every container that this machine may use and tells why others are left\n\
               alone. What nobody has claimed yet is claimed. The exit code is 6 when a disk of a volume is missing.\n",
        options: &[flag("--all", "every container that this machine may use")],
        names_max: MANY,
        run: activation::activate,
    },
    Verb {
        noun: "",
        verb: "deactivate",
        usage: "NAME… | --all [--fail]",
        line: "take volumes down",
        text: "Takes volumes down. Refused, with who has it open, while one is in use. Asks the kernel alone, so it works\n\
               when the disks are gone. Of a cluster's container they stay down over a boot, until they are activated\n\
               again; with --fail they come up again where they were.\n",
        options: &[
            flag("--all", "everything of evms that is active"),
            flag(
                "--fail",
                "also what is open: its I/O fails from now on, it goes when it is closed; for a\nshutdown that must end",
            ),
        ],
        names_max: MANY,
        run: activation::deactivate,
    },
    Verb {
        noun: "",
        verb: "status",
        usage: "[--watch]",
        line: "how the cluster is: quorum, nodes, containers, links, changes",
        text: "Tells how the cluster is, as evmsd of this machine sees it, or of another with --node NAME: may the node act, and\n\
               why; who is in the view; how each node and each path to it is heard; the last ten changes of the view. The\n\
               exit code is 7 when that evmsd cannot be asked, and 0 whether the node may act or not.\n\
               \n\
               And of each container of the cluster, as this machine reads it on its disks (not with --node or --watch): who has\n\
               it, where it belongs, its grade, since when and on which evidence. More of one of them: evms why CONTAINER\n",
        options: &[flag("--watch", "go on: print again when something changes, and once a second")],
        names_max: 0,
        run: cluster::status,
    },
    Verb {
        noun: "",
        verb: "why",
        usage: "[CONTAINER]",
        line: "why this node may act, or who holds a container, and what would change that",
        text: "Tells why this node may act or may not, or another with --node NAME: who was heard, when and on which paths, how\n\
               many votes that makes, and what is missing. The exit code is 7 when its evmsd cannot be asked.\n\
               \n\
               Of a container: who holds it, since when and on which evidence; which nodes may have gates of it, and how each is\n\
               watched; and what would have to happen for this node to have it.\n",
        options: &[],
        names_max: 1,
        run: cluster::why,
    },
    Verb {
        noun: "node",
        verb: "ping",
        usage: "NODE [--bytes N] [--count N] [--at-once N]",
        line: "send messages to a node and back, and measure",
        text: "Sends messages from evmsd of this machine to that of another and back, as all messages are sent: sealed, in order,\n\
               none lost. Tells how long they took. The exit code is 7 when the node does not answer.\n",
        options: &[
            value("--bytes", "N", "bytes of each message (64)"),
            value("--count", "N", "how many messages, 1 to 1000000 (10)"),
            value("--at-once", "N", "how many are under way at one time, 1 to 1024 (1)"),
        ],
        names_max: 1,
        run: cluster::ping,
    },
];

/// Words of the grammar that this build cannot do: noun, verb, and what to do instead.
const LATER: &[(&str, &str, &str)] = &[
    ("node", "list", "see the nodes with: evms list nodes"),
    ("node", "add", "say on a node of the cluster: evmsd invite NAME --link ADDRESS"),
    (
        "node",
        "remove",
        "take the node out of /etc/evms.conf on one node, with the next generation, and send evmsd there SIGHUP",
    ),
    (
        "node",
        "set",
        "change /etc/evms.conf on one node, with the next generation, and send evmsd there SIGHUP",
    ),
];

/// A verb that will come.
#[derive(Debug)]
pub struct NotInThisBuild {
    called: String,
    hint: &'static str,
}

impl fmt::Display for NotInThisBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this build does not have '{}' yet; nothing was done; {}", self.called, self.hint)
    }
}

impl Failure for NotInThisBuild {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

/// Is this a word that only a later build understands?
pub fn later(words: &[&str]) -> Option<NotInThisBuild> {
    let (first, second) = (words.first().copied()?, words.get(1).copied().unwrap_or(""));
    let is = |noun: &str, verb: &str| match (noun, verb) {
        ("", verb) => first == verb,
        (noun, "") => first == noun,
        (noun, verb) => first == noun && second == verb,
    };
    let (noun, verb, hint) = LATER.iter().find(|(noun, verb, _)| is(noun, verb))?;
    Some(NotInThisBuild { called: format!("{noun} {verb}").trim().into(), hint })
}

impl Verb {
    /// Does a daemon answer it? Then it may be any node's.
    pub fn asks_daemon(&self, behind: &[&str]) -> bool {
        match (self.noun, self.verb) {
            ("", "status") | ("node", _) => true,
            ("", "why") => behind.iter().all(|word| word.starts_with('-')),
            ("", "list") => behind.first() == Some(&"nodes"),
            _ => false,
        }
    }

    /// As it is called: `evms volume create`.
    pub fn called(&self) -> String {
        format!("evms {} {}", self.noun, self.verb).replace("  ", " ")
    }

    /// Its whole help.
    pub fn help(&self) -> String {
        let usage = format!("{} {}", self.called(), self.usage);
        let mut help = format!("usage: {}\n\n{}", usage.trim_end(), self.text);
        if !self.options.is_empty() {
            help.push_str("\nOptions:\n");
            help.push_str(&option_lines(self.options));
        }
        help.push_str(&format!(
            "\nOptions of every verb ({}) and exit codes: evms --help\n",
            words::names(GLOBALS)
        ));
        help
    }
}

/// A verb and the words behind it.
pub fn find<'a, 'w>(words: &'w [&'w str]) -> Result<(&'a Verb, &'w [&'w str]), BadWords> {
    let Some((first, rest)) = words.split_first() else {
        return Err(BadWords::Missing { what: "a verb", verb: "evms".into() });
    };
    if let Some(verb) = VERBS.iter().find(|verb| verb.noun.is_empty() && verb.verb == *first) {
        return Ok((verb, rest));
    }
    if !VERBS.iter().any(|verb| verb.noun == *first) {
        return Err(unknown(first));
    }
    let of = format!("evms {first}");
    let own = || VERBS.iter().filter(|verb| verb.noun == *first);
    match rest.split_first() {
        None => Err(BadWords::Missing { what: "a verb", verb: of }),
        Some((second, rest)) => match own().find(|verb| verb.verb == *second) {
            Some(verb) => Ok((verb, rest)),
            None => {
                let known = own().map(|verb| verb.verb).collect::<Vec<_>>().join(", ");
                Err(BadWords::Verb { word: (*second).into(), of, known })
            }
        },
    }
}

fn unknown(first: &str) -> BadWords {
    let of = "evms".to_string();
    if first.starts_with('-') {
        let known = words::names(GLOBALS);
        return BadWords::Option { option: first.into(), verb: of, known };
    }
    let mut known =
        VERBS.iter().map(|verb| if verb.noun.is_empty() { verb.verb } else { verb.noun }).collect::<Vec<_>>();
    known.dedup();
    BadWords::Verb { word: first.into(), of, known: known.join(", ") }
}

/// Options, one or more lines each.
pub fn option_lines(options: &[Opt]) -> String {
    let left = |option: &Opt| format!("{} {}", option.name, option.value).trim_end().to_string();
    let width = options.iter().map(|option| left(option).len()).max().unwrap_or(0).max(16);
    let lines = |option: &Opt| {
        let indented = option.line.replace('\n', &format!("\n{:width$}", "", width = width + 4));
        format!("  {:<width$}  {}\n", left(option), indented)
    };
    options.iter().map(lines).collect()
}

/// The verbs with their lines, for `evms --help` (every noun) or `evms NOUN --help`.
pub fn verb_lines(noun: Option<&str>) -> String {
    let shown = VERBS.iter().filter(|verb| noun.is_none_or(|noun| verb.noun == noun));
    let line = |verb: &Verb| {
        let words = format!("{} {}", verb.noun, verb.verb);
        format!("  {:<18} {}\n", words.trim_start(), verb.line)
    };
    shown.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verb_has_an_option_twice_or_one_of_the_globals() {
        for verb in VERBS {
            let all = verb.options.iter().chain(GLOBALS).map(|option| option.name).collect::<Vec<_>>();
            let once = all.iter().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(all.len(), once.len(), "{}", verb.called());
            for option in verb.options {
                let optional = ["--dry-run", "--template", "--extent", "--slot", "--wipe"];
                let shown = verb.usage.contains(option.name) || optional.contains(&option.name);
                assert!(shown, "{}: its usage does not show {}", verb.called(), option.name);
            }
        }
    }

    #[test]
    fn help_fits_a_screen_of_a_hundred_and_twenty() {
        for verb in VERBS {
            for line in verb.help().lines() {
                assert!(line.chars().count() <= 120, "{}: {line}", verb.called());
            }
        }
    }
}
