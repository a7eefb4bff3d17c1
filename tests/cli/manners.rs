//! The same manners for every applet: help, version, what is unknown, and a world that is not as it should be.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use crate::program::{APPLETS, Ended, Folder, run, run_in_shell, run_with};

const EXIT_CODES: &str = "
Exit codes (the most specific wins):
  0  done, or already so
  1  refused, for a reason that has no code of its own
  2  usage: the command line is wrong
  3  not found
  4  not owner, or not quorate
  5  damaged metadata
  6  device error
  7  daemon not reachable
";

const HELP_EVMS: &str = "\
usage: evms [OPTION]… VERB …
       evms VERB --help           tell all about one verb
       evms APPLET ...            run another applet of this program
       evms --list [--json]       print the names of the applets
       evms --install [--dry-run] DIR
                                  make links in DIR, one for each applet
       evms --help | --version

Shared disks, safe to use from several machines: cluster containers, ownership, fencing, failover.

Verbs:
  list               what there is; without a word: containers, volumes and disks
  info               all about one container, CONTAINER/VOLUME or disk
  check              read and compare every copy of everything; mend what is damaged
  history            models that the disks of a container keep, and what differs
  backup             save the model of a container in a new file
  restore            bring the volumes of an earlier model back
  container create   make a container over disks
  container modify   change owner, type or name
  container expand   add disks
  container shrink   let disks go that no volume uses
  container readmit  take disks back that missed changes
  container deport   give it away: nobody's until it is imported
  container import   take a deported or unclaimed container, or make a copy one of its own
  container takeover take a private container from a machine that is gone
  container delete   delete an empty container and free its disks
  volume create      make a linear or striped volume
  volume expand      make it larger
  volume shrink      make it smaller
  volume rename      give it another name
  volume delete      delete it; its data is lost
  activate           bring volumes up: /dev/evms/CONTAINER/VOLUME
  deactivate         take volumes down
  status             how the cluster is: quorum, nodes, containers, links, changes
  why                why this node may act, or who holds a container, and what would change that
  node ping          send messages to a node and back, and measure

Options of every verb:
  --disk FILE       look at this disk or image file only; may be given several times
                    (or EVMS_DISKS=FILE:FILE…)
  --include GLOB    of this machine's disks look only at these, by path or kernel name
  --exclude GLOB    of this machine's disks leave these alone
  --node NAME       where to run: this machine, its own name or 'local' (or EVMS_NODE);
                    status, why and list nodes: any node of the cluster
  --as NODE-UUID    act as the machine with this identity; image files only
  --node-file PATH  this machine's identity stands here instead of in /etc/evms/node
  --json            answer in JSON, refusals too

Applets:
  evms            manage disks, containers and volumes
  evmsd           the cluster daemon
  evms-fence      what stops the I/O of a node, and why
  evms-failover   move containers to another node, or back
";

const HELP_EVMSD: &str = "\
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

const HELP_FENCE: &str = "\
usage: evms-fence status [--node NODE] [--json]
       evms-fence suspend CONTAINER [--json]
       evms-fence resume CONTAINER [--json]
       evms-fence history [CONTAINER] [--all] [--json]
       evms-fence --help | --version

Tells through which gates the I/O of a node's cluster volumes flows, which of them are closed, since when and why, and
who closes them: the keeper, a process that sees the node's lease end though evmsd is gone, and the watchdog behind it.
How each disk under them takes the node's beats: one small write in a second, by which it answers there when the others
do not hear it on the network. Of this node also what was lost while it was in use: it is put aside, its I/O fails, and
who has it open is told. And which fence agents the node has for others, and what the last call of them came to; evmsd
calls them (evmsd --help).
suspend: closes the gates of a cluster's container, everywhere where it has some: what uses its volumes waits, without an
error, until resume. It stands in the container, and outlives boots and takeovers. Refused where a node has its root or
its swap on it.
history: every takeover of the containers that are here, newest first: from whom, by whom, on which evidence and why.
They stand in the container itself, the last 64 changes of whose it is.
To fence another node by hand is not in this build: whatever else is asked is refused with code 7, and no node may be
taken for fenced on the strength of it.

  --all         whatever changed whose it is: founded and given too
  --node NODE   ask the evmsd of that node
  --json        print it for programs
";

const HELP_FAILOVER: &str = "\
usage: evms-failover --help | --version

Moves containers to another node, or back, by a policy. That is not in this build: whatever is asked is refused with
code 7. A private container whose owner is gone is taken over by itself (evms why NAME); to move one by hand:
evms deactivate NAME on its owner, then evms container modify NAME --owner NODE.
";

/// Questions that are answered on stdout with code 0.
const ANSWERED: [&str; 2] = ["--help", "--version"];

/// Every applet with every question that prints.
fn questions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let asked = APPLETS.iter().flat_map(|applet| ANSWERED.map(|word| (*applet, word)));
    asked.chain([("evms", "--list")])
}

#[test]
fn help_is_what_is_written_here() {
    for (applet, help) in APPLETS.into_iter().zip([HELP_EVMS, HELP_EVMSD, HELP_FENCE, HELP_FAILOVER]) {
        for word in ["--help", "-h"] {
            let ended = run(applet, &[word]);
            assert_eq!(ended.out, format!("{help}{EXIT_CODES}"), "{applet} {word}");
            assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{applet} {word}");
        }
    }
}

#[test]
fn version_is_one_line() {
    for applet in APPLETS {
        let ended = run(applet, &["--version"]);
        assert_eq!(ended.out, format!("{applet} {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    }
}

#[test]
fn an_unknown_option_is_named() {
    for applet in APPLETS {
        run(applet, &["--hedgehogs-only"]).refused(2, applet, "'--hedgehogs-only'");
        run(applet, &["--version", "--hedgehogs-only"]).refused(2, applet, "'--hedgehogs-only'");
    }
}

#[test]
fn a_word_that_is_not_utf8_is_refused() {
    for applet in APPLETS {
        let words = [OsString::from("--help"), OsString::from_vec(b"hedge\xffhog".to_vec())];
        run(applet, &words).refused(2, applet, "argument 2, 'hedge\\xffhog', is not UTF-8");
    }
}

#[test]
fn a_closed_stdout_is_no_failure() {
    for (applet, word) in questions() {
        let ended = run_in_shell("exec \"$@\" >&-", applet, &[word]);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{applet} {word}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    for (applet, word) in questions() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run_with(applet, &[word], |command| {
            command.stdout(writer);
        });
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{applet} {word}");
    }
}

#[test]
fn an_answer_that_does_not_fit_is_a_device_error() {
    for (applet, word) in questions() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = run_with(applet, &[word], |command| {
            command.stdout(full);
        });
        ended.refused(6, applet, "could not be written");
    }
}

#[test]
fn a_refusal_nobody_can_read_still_has_its_code() {
    for applet in APPLETS {
        for line in ["exec \"$@\" 2>&-", "exec \"$@\" 2>/dev/full", "exec \"$@\" >&- 2>&- <&-"] {
            assert_eq!(run_in_shell(line, applet, &["--hedgehogs-only"]).code, 2, "{applet} {line}");
        }
    }
}

/// Runs `applet` where /proc and /sys are empty; `None` if this machine lets nobody arrange that.
fn run_without_proc_and_sys(applet: &str, word: &str) -> Option<Ended> {
    let hide = "mount -t tmpfs none /sys && mount -t tmpfs none /proc && test ! -e /proc/self && exec \"$@\"";
    let folder = Folder::with_links(&[applet]);
    // As root a mount namespace suffices; else a user namespace makes one of us root.
    for unshare in ["-m", "-rm"] {
        let ready = Command::new("unshare").args([unshare, "sh", "-c", hide, "sh", "true"]).output();
        if ready.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new("unshare");
            command.args([unshare, "sh", "-c", hide, "sh"]).arg(folder.0.join(applet)).arg(word);
            return Some(Ended::from(command.output().unwrap()));
        }
    }
    // Written past the harness, which would swallow it.
    let _ = writeln!(
        std::io::stderr(),
        "NOT RUN: {applet} without /proc and /sys: no mount namespace can be had here"
    );
    None
}

#[test]
fn no_proc_and_no_sys_are_no_panic() {
    for (applet, word) in questions() {
        let Some(ended) = run_without_proc_and_sys(applet, word) else { return };
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{applet} {word}");
        let Some(ended) = run_without_proc_and_sys(applet, "--hedgehogs-only") else { return };
        ended.refused(2, applet, "'--hedgehogs-only'");
    }
}

#[test]
fn what_this_build_does_not_have_is_said() {
    run("evms-fence", &["off", "n2"]).refused(7, "evms-fence", "cannot fence another node");
    run("evms-failover", &["data"]).refused(7, "evms-failover", "nothing was moved");
}

/// Nothing of this machine is looked at: there is no such configuration, and words that are wrong come first.
#[test]
fn the_daemon_refuses_what_cannot_be() {
    run("evmsd", &["--config", "/nowhere"]).refused(3, "evmsd", "/nowhere");
    for (line, part) in [
        ("init", "CLUSTER is missing"),
        ("init x", "--node is missing"),
        ("init x --node n1", "--link is missing"),
        ("init x --node n1 --link there", "'there' is no IP address"),
        ("init x y --node n1 --link 10.0.0.1", "'y' is one word too many"),
        ("keygen now", "'now' is one word too many"),
        ("leave now", "'now' is one word too many"),
        ("--check keygen", "unknown option '--check'"),
        ("--log nowhere", "stderr, syslog and kmsg"),
        ("lust", "evmsd has: init, invite, join, keygen, prepare, leave, force"),
    ] {
        run("evmsd", &line.split(' ').collect::<Vec<_>>()).refused(2, "evmsd", part);
    }
    let checked = run("evmsd", &["--config", "/nowhere", "--check"]);
    assert_eq!((checked.code, checked.err.as_str()), (1, ""));
    assert!(checked.out.contains("BAD      configuration"), "{}", checked.out);
}
