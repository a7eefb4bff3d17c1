//! `evmsd`, the cluster daemon: words in, and the loop begins; or one of the small steps around it.

use std::io::{self, Read};
use std::net::IpAddr;

use evms::base::failure::Failure;
use evms::base::id::{ContainerId, DiskId, NodeUuid};
use evms::base::name::Name;
use evms::run::ask::{self, AskError};
use evms::run::context::front;
use evms::run::daemon::check::{Grade, check};
use evms::run::daemon::{self, DaemonOptions, founding, joining, logging, preparing};
use evms::run::failure::RunError;
use evms::run::{disk_beats, fencing, keeper, leave, raising, regain, sight, succession};

use crate::evms::words::{BadWords, Opt, Words, flag, value, values};
use crate::exit::{self, Exit};
use crate::out;
use crate::usage;

/// The applet's name.
pub const NAME: &str = "evmsd";

const HELP: &str = "\
usage: evmsd [--config FILE] [--log stderr|syslog|kmsg] [--debug]
       evmsd [--config FILE] --check
       evmsd init CLUSTER --node NAME --link ADDRESS…
       evmsd invite NODE --link ADDRESS… [--machine UUID]
       evmsd join TOKEN
       evmsd keygen
       evmsd prepare DISK [--wipe SIGNATURE]…
       evmsd leave
       evmsd [--config FILE] force
       evmsd --help | --version

The cluster daemon: it knows which nodes live and whether this one may act. Runs in the foreground until it is told to end
(SIGTERM); started again on the same boot it goes on where it was. 'evms status' tells how the cluster is. To change the
configuration edit its file on one node, with the next generation, and send evmsd there SIGHUP: the nodes agree on it.

  --check     would it start, and do well? Starts nothing; the exit code is 1 when it would not
  init        found a cluster with this machine as its first node: makes /etc/evms.conf, /etc/evms/key, /etc/evms/node
  invite      have the cluster agree on a new node, and print the token for it: one line, as secret as the key. It joins
              without a vote, and gets one when it was a member for a moment
  join        make of a token what this machine needs to be that node; '-' reads it from the input
  keygen      make /etc/evms/key, the secret that all nodes of a cluster share; one that is there stays
  prepare     make DISK an arbitration disk of this cluster, which decides between two halves, and say what has to be written
              into the configuration; refused where anything is found on it
  leave       take the volumes of the cluster's containers down here, tell the others that this node leaves, so that nobody
              waits for it, and end; refused while a volume is in use
  force       go by the configuration file though the others were not asked: when they cannot be, and it is certain that none
              of them runs by another one. On every node, while evmsd does not run

Options:
  --config FILE     the configuration (/etc/evms.conf)
  --log WHERE       where the log goes; when nothing is said, where somebody reads it
  --debug           log every step on the way to a view
  --node NAME       init: what this node is called
  --link ADDRESS    init, invite: an address of the node, one for each network, up to four
  --machine UUID    invite: the identity that the machine has already; else the token gives it one
  --wipe SIGNATURE  prepare: what was found on the disk and may be overwritten

Fence agents are sections of the file that are this node's own: they are not agreed on, and their options are never sent to others
and not logged. When a node is absent that has gates of a container (and does not say over the disks of all that it owns that they
are closed; of shared ones it is not asked), its agents here are told 'off' (which has to end with 0) and then asked for their
status, in the order of the file, until one reads off; then what that node held is taken. So EACH of them has
to cut ALL power of its node by itself: a node with two supplies needs one that cuts both. Nobody switches it on again. The first
of the view begins, 2 s after the node was seen last; a node that was never seen yet is given the time of its watchdog, to boot.
With options in it the file has to be root's alone (chmod 600). Read when evmsd starts, and at SIGHUP.

  [[fence]]
  node = \"n2\"               whose power it cuts; its own a node never does
  agent = \"fence_ipmilan\"   a program that speaks the convention of fence agents: a path, or a name of one in /usr/sbin, /sbin,
                            /usr/bin or /bin
  timeout_s = 20            seconds that one call may take, 1 to 300 (20)
  retries = 1               how often it is tried again, 0 to 5 (1)
  [fence.options]           each is a line name=value on its standard input
  ip = \"10.0.0.2\"
";

const OPTIONS: &[Opt] = &[
    value("--config", "FILE", ""),
    value("--log", "WHERE", ""),
    flag("--debug", ""),
    flag("--check", ""),
    value("--node", "NAME", ""),
    values("--link", "ADDRESS", ""),
    value("--machine", "UUID", ""),
    values("--wipe", "SIGNATURE", ""),
];

/// The most words that are no options: `init CLUSTER`.
const NAMES_MAX: usize = 2;

struct Refused(Box<dyn Failure>);

impl<F: Failure + 'static> From<F> for Refused {
    fn from(failure: F) -> Refused {
        Refused(Box::new(failure))
    }
}

/// Runs it.
pub fn run(words: &[&str]) -> Exit {
    if let Some(exit) = usage::answer(NAME, || [HELP, "\n", exit::TEXT].concat(), words) {
        return exit;
    }
    match obey(words) {
        Ok(exit) => exit,
        Err(Refused(failure)) => out::refuse(NAME, &*failure),
    }
}

/// Reads disks for evmsd, which starts this so (`host::keeper_process`): not for people. Nothing where something else is wanted.
fn read_disks(words: &Words) -> Result<Option<Exit>, Refused> {
    let read: Box<dyn FnOnce() -> Result<(), RunError>> = match words.names(0) {
        _ if words.has("--check") => return Ok(None),
        [verb] if verb == "regain" => Box::new(regain::run),
        [verb] if verb == "look" => Box::new(regain::look),
        [verb] if verb == "succession" => Box::new(succession::run),
        [verb] if verb == "raise" => Box::new(raising::run),
        [verb, ids] if verb == "sees" => {
            let strange = || words.bad("CONTAINER,DISK…", &"these are no ids");
            let (container, disks) = ids.split_once(',').ok_or_else(strange)?;
            let container = ContainerId::parse(container).ok_or_else(strange)?;
            let disks =
                disks.split(',').map(DiskId::parse).collect::<Option<Vec<_>>>().ok_or_else(strange)?;
            Box::new(move || sight::run(container, &disks))
        }
        _ => return Ok(None),
    };
    logging::begin_beside(words.parsed("--log", logging::parse)?.unwrap_or_default());
    Ok(Some(beside(|| Ok(read().map(|()| Exit::Done)?))))
}

fn obey(words: &[&str]) -> Result<Exit, Refused> {
    let words = Words::read(NAME, OPTIONS, NAMES_MAX, words)?;
    let options = DaemonOptions {
        config: words.one("--config").map_or_else(|| DaemonOptions::default().config, Into::into),
    };
    refuse_strange_options(&words)?;
    if let Some(exit) = read_disks(&words)? {
        return Ok(exit);
    }
    match words.names(0) {
        [verb, ..] if words.has("--check") => {
            Err(BadWords::Surplus { word: verb.clone(), verb: [NAME, " --check"].concat() }.into())
        }
        [] if words.has("--check") => Ok(print_check(&options)),
        [] => {
            logging::begin(words.parsed("--log", logging::parse)?.unwrap_or_default(), words.has("--debug"));
            daemon::run(&options)?;
            Ok(Exit::Done)
        }
        // Neither are these.
        [verb] if verb == "beats" => {
            logging::begin_beside(logging::parse("kmsg").unwrap_or_default());
            disk_beats::run()?;
            Ok(Exit::Done)
        }
        [verb, victim] if verb == "fence" => {
            logging::begin_beside(words.parsed("--log", logging::parse)?.unwrap_or_default());
            let victim = NodeUuid::parse(victim).ok_or_else(|| words.bad("MACHINE", &"it is no UUID"))?;
            Ok(beside(|| Ok(fencing::run(&options.config, victim).map(|()| Exit::Done)?)))
        }
        [verb] if verb == "keeper" => {
            logging::begin_beside(logging::parse("kmsg").unwrap_or_default());
            keeper::run()?;
            Ok(Exit::Done)
        }
        [verb] if verb == "keygen" => {
            let path = founding::keygen()?;
            Ok(say(&format!("{path} is made; copy it to the other nodes, readable by root alone\n")))
        }
        [verb] if verb == "leave" => Ok(beside(|| {
            leave::take_down()?.iter().for_each(|note| out::complain(NAME, note));
            Ok(say(&format!("{}\n", leave()?)))
        })),
        [verb, disk] if verb == "prepare" => prepare(&options, disk, &words),
        [verb] if verb == "prepare" => Err(words.missing("DISK").into()),
        [verb, node] if verb == "invite" => invite(node, &words),
        [verb] if verb == "invite" => Err(words.missing("NODE").into()),
        [verb, token] if verb == "join" => join(token),
        [verb] if verb == "join" => Err(words.missing("TOKEN").into()),
        [verb] if verb == "force" => Ok(say(&forced(&options, founding::force(&options.config)?))),
        [verb, cluster] if verb == "init" => init(cluster, &words),
        [verb] if verb == "init" => Err(words.missing("CLUSTER").into()),
        [verb, more, ..] if ["keygen", "leave", "force"].contains(&verb.as_str()) => {
            Err(BadWords::Surplus { word: more.clone(), verb: NAME.into() }.into())
        }
        [verb, ..] => {
            let known = "init, invite, join, keygen, prepare, leave, force".into();
            Err(BadWords::Verb { word: verb.clone(), of: NAME.into(), known }.into())
        }
    }
}

/// Does what may hang with a disk in a process of its own, so that nobody waits for that.
fn beside(work: impl FnOnce() -> Result<Exit, Refused>) -> Exit {
    const SENTENCE: &str = "evmsd: something killed the process that did the work; see: evms-fence status\n";
    let work = || work().unwrap_or_else(|Refused(failure)| out::refuse(NAME, &*failure)).code();
    Exit::of(front::behind(work, front::Killed { sentence: SENTENCE, code: Exit::Device.code() }))
}

/// What belongs to another verb is a mistake that somebody would wonder about later.
fn refuse_strange_options(words: &Words) -> Result<(), BadWords> {
    let verb = words.names(0).first().map_or("", String::as_str);
    let known: &[&str] = match verb {
        "" if words.has("--check") => &["--config", "--check"],
        "" => &["--config", "--log", "--debug"],
        "init" => &["--node", "--link"],
        "invite" => &["--link", "--machine"],
        "force" | "fence" => &["--config"],
        "prepare" => &["--config", "--wipe"],
        _ => &[],
    };
    let strange = OPTIONS.iter().find(|option| words.has(option.name) && !known.contains(&option.name));
    strange.map_or(Ok(()), |option| {
        let verb = format!("{NAME} {verb}").trim_end().to_string();
        let known = if known.is_empty() { "none of its own".into() } else { known.join(", ") };
        Err(BadWords::Option { option: option.name.into(), verb, known })
    })
}

fn say(words: &str) -> Exit {
    out::finish(NAME, out::text(words))
}

fn init(cluster: &str, words: &Words) -> Result<Exit, Refused> {
    let cluster = Name::parse(cluster).map_err(|why| words.bad("CLUSTER", &why))?;
    let node = words.wanted("--node", Name::parse_node)?;
    let roster = founding::init(cluster, node, links(words)?)?;
    Ok(say(&format!(
        "cluster {} is founded: {} node in /etc/evms.conf, its secret in /etc/evms/key; start evmsd\n",
        roster.name,
        roster.members.len()
    )))
}

/// What became of it, and what is to be done with the other nodes.
fn forced(options: &DaemonOptions, done: founding::Forced) -> String {
    let (generation, config) = (done.roster.configuration.generation, options.config.display());
    let what = match (done.already, done.before) {
        (true, _) => format!("goes by generation {generation} of {config} already"),
        (false, None) => format!("goes by generation {generation} of {config} now (it went by none)"),
        (false, Some(before)) => {
            format!("goes by generation {generation} of {config} now (it went by {before})")
        }
    };
    let warning = done.not_written.map_or(String::new(), |why| {
        format!(
            "{config} could not be written ({why}) and does not remember all ids that nodes had; evmsd starts with it all the \
             same; say it again when it can be\n"
        )
    });
    format!("this node {what}; do the same on all nodes before evmsd is started on any\n{warning}")
}

/// Who does not run has nothing to leave: a shutdown that says so twice is no failure.
fn leave() -> Result<String, AskError> {
    match ask::leave() {
        Err(AskError::NoDaemon(error))
            if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) =>
        {
            Ok("evmsd does not run on this machine: there is nothing to leave, and the others know it as silent".into())
        }
        left => left,
    }
}

fn links(words: &Words) -> Result<Vec<IpAddr>, BadWords> {
    let bad = |link: &str| words.bad("--link", &format!("'{}' is no IP address", link.escape_debug()));
    let links = words.all("--link").iter().map(|link| link.parse().map_err(|_| bad(link)));
    let links = links.collect::<Result<Vec<_>, _>>()?;
    if links.is_empty() { Err(words.missing("--link")) } else { Ok(links) }
}

fn invite(node: &str, words: &Words) -> Result<Exit, Refused> {
    let node = Name::parse_node(node).map_err(|why| words.bad("NODE", &why))?;
    let machine = words.parsed("--machine", |text| NodeUuid::parse(text).ok_or("it is no UUID"))?;
    let invited = joining::invite(node, links(words)?, machine)?;
    // The token alone is what is printed: it is handed on as it stands.
    if let Some(warning) = invited.warning {
        out::complain(NAME, &warning);
    }
    Ok(say(&format!("{}\n", invited.token)))
}

fn join(token: &str) -> Result<Exit, Refused> {
    let mut read = String::new();
    let token = if token == "-" {
        // What cannot be read is no token.
        let _ = std::io::stdin().take(joining::TOKEN_BYTES_MAX as u64).read_to_string(&mut read);
        &read
    } else {
        token
    };
    Ok(say(&format!("{}\n", joining::join(token)?)))
}

fn prepare(options: &DaemonOptions, disk: &str, words: &Words) -> Result<Exit, Refused> {
    let wipe = words.all("--wipe").to_vec();
    let made = preparing::prepare(&options.config, disk.as_ref(), wipe)?;
    Ok(say(&format!(
        "{disk} is an arbitration disk of this cluster now. Write this into {} on one node, with the next generation, and send evmsd there \
         SIGHUP; the nodes agree on it:\n{}",
        options.config.display(),
        made.to_text()
    )))
}

fn print_check(options: &DaemonOptions) -> Exit {
    let lines = check(&options.config);
    let mark = |grade| match grade {
        Grade::Good => "good",
        Grade::Warning => "warning",
        Grade::Bad => "BAD",
    };
    let text = lines.iter().map(|line| format!("{:<8} {:<14} {}\n", mark(line.grade), line.what, line.words));
    let printed = out::text(&text.collect::<String>());
    let bad = lines.iter().any(|line| line.grade == Grade::Bad);
    match out::finish(NAME, printed) {
        Exit::Done if bad => Exit::Refused,
        exit => exit,
    }
}
