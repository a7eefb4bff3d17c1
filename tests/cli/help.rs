//! The help of every noun and verb, word for word. Who changes a help text changes it here too, having read it.

use std::collections::BTreeSet;

use crate::program::run;

pub const HELP: &[(&str, &str)] = &[
    (
        "container",
        "\
usage: evms container VERB …
       evms container VERB --help

Verbs:
  container create   make a container over disks
  container modify   change owner, type or name
  container expand   add disks
  container shrink   let disks go that no volume uses
  container readmit  take disks back that missed changes
  container deport   give it away: nobody's until it is imported
  container import   take a deported or unclaimed container, or make a copy one of its own
  container takeover take a private container from a machine that is gone
  container delete   delete an empty container and free its disks

Exit codes: evms --help
",
    ),
    (
        "volume",
        "\
usage: evms volume VERB …
       evms volume VERB --help

Verbs:
  volume create      make a linear or striped volume
  volume expand      make it larger
  volume shrink      make it smaller
  volume rename      give it another name
  volume delete      delete it; its data is lost

Exit codes: evms --help
",
    ),
    (
        "list",
        "\
usage: evms list [disks|segments|containers|regions|objects|volumes|nodes]

Lists what the disks hold, and what is wrong with it. Reads only. A disk that cannot be read is named and the
rest is listed; the exit code is 6 then. Nodes are those of the cluster that evmsd knows.

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "info",
        "\
usage: evms info NAME

Tells all about a container (by name or id), a volume (CONTAINER/VOLUME) or a disk (its path). Reads only.

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "check",
        "\
usage: evms check [NAME…] [--repair [--dry-run]]

Reads every copy of everything on the disks of these containers, or of all of them, and compares. Writes nothing
without --repair. The exit code is 5 when damage was found and is left.

Options:
  --repair          write anew what is damaged, from what is sound
  --dry-run         write nothing; say what would be mended

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "history",
        "\
usage: evms history NAME [--compare G1 [G2]]

Lists the models that a container had, newest first, as far as its disks keep them. Reads only.

Options:
  --compare G1 [G2]  what differs from generation G1 to G2, or to the present

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "backup",
        "\
usage: evms backup NAME FILE

Saves the present model of a container (not the data of its volumes) in FILE, which must not exist yet.

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "restore",
        "\
usage: evms restore NAME (--from FILE | --generation N) [--dry-run]

Gives a container the volumes it had: where they lie, how large they are, what they are called. Name, type,
owner and disks stay as they are; volumes made since are deleted. Refused when the disks that they lay on are
gone, or their space was given to others since.

Options:
  --from FILE       a file made by evms backup
  --generation N    a model that the disks keep; see evms history NAME (N@EPOCH where two share N)
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container create",
        "\
usage: evms container create NAME (--private [--owner NODE] | --shared | --deported) DISK…

Labels the disks and makes a container of them. A disk on which anything is found is refused and named.
Without --owner a private container on block devices is this machine's, one on image files nobody's yet.
On block devices a node of a cluster makes it the cluster's with --shared, or with a node's name as the
owner: then evmsd has to be quorate for every change of it.

Options:
  --private         for one machine at a time, its owner
  --shared          for all nodes of a cluster
  --deported        for nobody until it is imported
  --owner NODE      a node UUID, a node's or this machine's name, 'me', or 'none' for nobody yet
  --template        its copies get ids of their own when they are imported; for images that are
                    copied to many machines
  --extent SIZE     its unit of space, whole MiB up to 1 GiB (4 MiB)
  --slot SIZE       room for one copy of the model; follows from the disk's size else
  --wipe WORD       this signature on the disks may be destroyed, by the name that the refusal
                    tells: 'xfs', 'gpt'; 'evms' is a label of evms, 'unknown' is data that no
                    known signature explains; several times, or a list with commas
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container modify",
        "\
usage: evms container modify NAME [--owner NODE] [--type private|shared|deported] [--name NEW]

Changes what is given and leaves the rest.
A node of the cluster gets it that reads as many of its disks as this one, and not where a
volume of it is in use here.

Options:
  --owner NODE      a node UUID, a node's or this machine's name, 'me', or 'none' for nobody yet
  --type TYPE       private, shared or deported
  --name NEW        the new name
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container expand",
        "\
usage: evms container expand NAME DISK…

Labels the disks and adds them to the container. They are looked at and refused as in create.

Options:
  --slot SIZE       room for one copy of the model; follows from the disk's size else
  --wipe WORD       this signature on the disks may be destroyed, by the name that the refusal
                    tells: 'xfs', 'gpt'; 'evms' is a label of evms, 'unknown' is data that no
                    known signature explains; several times, or a list with commas
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container shrink",
        "\
usage: evms container shrink NAME DISK…

Takes disks out of the container, by path or number, and wipes their labels. Refused while a volume lies there.

Options:
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container readmit",
        "\
usage: evms container readmit NAME DISK…

A disk that was away while its container was changed is not trusted until it is readmitted, by path or number:
then it gets the present model. What its volumes missed meanwhile is not brought back by this.

Options:
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container deport",
        "\
usage: evms container deport NAME

Makes the container nobody's, so that another machine can import it.

Options:
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container import",
        "\
usage: evms container import NAME [--new-ids]

Takes a container that is deported, or not claimed by any machine yet, for this machine.
One that another cluster deported comes over into the cluster of this machine, or out of
any. Where a node there had this node's number, what it wrote is watched first, for as long
as a takeover waits (13 s).

Options:
  --new-ids         the disks are copies: give container, disks and volumes ids of their own. Name
                    all disks of one copy with --disk, and no disk of the other
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container takeover",
        "\
usage: evms container takeover NAME --reason TEXT [--sworn TEXT]

Takes a private container from its owner, or counts a node out of a shared one, when that node is not in the view of
this one. Where it had a watchdog the others do so by themselves once the time of that is over; and then, or when it
had no gates of the container, nothing has to be sworn. Else it says what may be lost by it, and what has to be
sworn, and writes nothing. Who took it, from whom, on which evidence and why: evms-fence history.

Options:
  --reason TEXT     why, for whoever reads the history later
  --sworn TEXT      that its owner cannot write to it any more, in the words that are asked for
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "container delete",
        "\
usage: evms container delete NAME

Wipes the labels of its disks. Refused while it has volumes.

Options:
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "volume create",
        "\
usage: evms volume create CONTAINER/VOLUME --size SIZE [--stripes N [--stripe-size SIZE]] [--on DISK]…

Makes a volume from free space. Sizes are 10G, 512MiB, 1.5T (powers of 1024) or 100%FREE, and are rounded up to
whole extents.

Options:
  --size SIZE         its size
  --stripes N         spread it over N disks
  --stripe-size SIZE  how much lies on one disk before the next one's turn (64 KiB)
  --on DISK           only on this disk, by path or number; may be given several times
  --dry-run           write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "volume expand",
        "\
usage: evms volume expand CONTAINER/VOLUME --size [+]SIZE [--on DISK]… [--fs]

Makes a volume larger: to SIZE, or by +SIZE. Where it is active it is larger at once, under its users; a file
system on it grows with --fs only.

Options:
  --size [+]SIZE    its new size, or by how much; +100%FREE takes all that is free
  --on DISK         only on this disk, by path or number; may be given several times
  --fs              also grow the file system on it, which is mounted here (ext2 to ext4, btrfs, xfs)
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "volume shrink",
        "\
usage: evms volume shrink CONTAINER/VOLUME --size [-]SIZE [--lose-data-beyond SIZE]

Makes a volume smaller: to SIZE, or by -SIZE. Refused when a file system on it states that it needs more, or when
nobody knows what is on it, unless --lose-data-beyond gives the new size once more.

Options:
  --size [-]SIZE           its new size, or by how much
  --lose-data-beyond SIZE  what lies beyond this size may be lost
  --dry-run                write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "volume rename",
        "\
usage: evms volume rename CONTAINER/VOLUME NEW

Gives a volume another name in its container.

Options:
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "volume delete",
        "\
usage: evms volume delete CONTAINER/VOLUME

Deletes a volume. Its space is given out again only after another change, so that until then evms restore can
bring it back.

Options:
  --dry-run         write nothing; print every write that would be made, to the sector

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "activate",
        "\
usage: evms activate NAME… | --all

Brings the volumes of containers up, or single volumes (CONTAINER/VOLUME), through device-mapper, all of a
container or none; --all takes every container that this machine may use and tells why others are left
alone. What nobody has claimed yet is claimed. The exit code is 6 when a disk of a volume is missing.

Options:
  --all             every container that this machine may use

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "deactivate",
        "\
usage: evms deactivate NAME… | --all [--fail]

Takes volumes down. Refused, with who has it open, while one is in use. Asks the kernel alone, so it works
when the disks are gone. Of a cluster's container they stay down over a boot, until they are activated
again; with --fail they come up again where they were.

Options:
  --all             everything of evms that is active
  --fail            also what is open: its I/O fails from now on, it goes when it is closed; for a
                    shutdown that must end

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "status",
        "\
usage: evms status [--watch]

Tells how the cluster is, as evmsd of this machine sees it, or of another with --node NAME: may the node act, and
why; who is in the view; how each node and each path to it is heard; the last ten changes of the view. The
exit code is 7 when that evmsd cannot be asked, and 0 whether the node may act or not.

And of each container of the cluster, as this machine reads it on its disks (not with --node or --watch): who has
it, where it belongs, its grade, since when and on which evidence. More of one of them: evms why CONTAINER

Options:
  --watch           go on: print again when something changes, and once a second

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "why",
        "\
usage: evms why [CONTAINER]

Tells why this node may act or may not, or another with --node NAME: who was heard, when and on which paths, how
many votes that makes, and what is missing. The exit code is 7 when its evmsd cannot be asked.

Of a container: who holds it, since when and on which evidence; which nodes may have gates of it, and how each is
watched; and what would have to happen for this node to have it.

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
    (
        "node",
        "\
usage: evms node VERB …
       evms node VERB --help

Verbs:
  node ping          send messages to a node and back, and measure

Exit codes: evms --help
",
    ),
    (
        "node ping",
        "\
usage: evms node ping NODE [--bytes N] [--count N] [--at-once N]

Sends messages from evmsd of this machine to that of another and back, as all messages are sent: sealed, in order,
none lost. Tells how long they took. The exit code is 7 when the node does not answer.

Options:
  --bytes N         bytes of each message (64)
  --count N         how many messages, 1 to 1000000 (10)
  --at-once N       how many are under way at one time, 1 to 1024 (1)

Options of every verb (--disk, --include, --exclude, --node, --as, --node-file, --json) and exit codes: evms --help
",
    ),
];

#[test]
fn help_is_what_is_written_here() {
    for (verb, help) in HELP {
        for word in ["--help", "-h"] {
            let words = verb.split(' ').chain([word]).collect::<Vec<_>>();
            let ended = run("evms", &words);
            assert_eq!(
                (ended.code, ended.out.as_str(), ended.err.as_str()),
                (0, *help, ""),
                "evms {verb} {word}"
            );
        }
    }
}

/// `evms --help` lists every verb whose help stands here, and no other.
#[test]
fn every_verb_has_its_help_here() {
    let top = run("evms", &["--help"]).out;
    let verbs = top.split("\nVerbs:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed = verbs.lines().map(|line| line[2..21].trim()).collect::<BTreeSet<_>>();
    let here =
        HELP.iter().map(|(verb, _)| *verb).filter(|verb| !["container", "volume", "node"].contains(verb));
    assert_eq!(listed, here.collect());
}

/// An option that help shows is understood, and one that it does not show is refused with those that it does.
#[test]
fn help_and_options_are_the_same() {
    for (verb, help) in HELP.iter().filter(|(_, help)| help.contains("\nOptions:\n")) {
        let options = help.split("\nOptions:\n").nth(1).unwrap();
        let options = options.lines().filter_map(|line| line.strip_prefix("  --"));
        let words = verb.split(' ').collect::<Vec<_>>();
        let refusal = run("evms", &[&words[..], &["--hedgehogs-only"]].concat());
        for option in options.map(|line| format!("--{}", line.split(' ').next().unwrap())) {
            refusal.refused(2, "evms", &option);
            // Given last and without more it is refused for another reason than being unknown.
            let ended = run("evms", &[&words[..], &["--disk", "/nowhere", &option]].concat());
            assert!(ended.code != 0 && !ended.err.contains("unknown option"), "{verb} {option}: {ended:?}");
        }
    }
}

#[test]
fn what_later_builds_will_have_is_said_and_not_listed() {
    let top = run("evms", &["--help"]).out;
    for line in ["node list", "node add x", "node remove x", "node set x"] {
        let words = line.split(' ').collect::<Vec<_>>();
        run("evms", &words).refused(1, "evms", "this build does not have");
        assert!(!top.contains(&format!("\n  {} {}", words[0], words[1])), "{line}");
    }
}

#[test]
fn unknown_words_are_refused_with_the_known_ones() {
    for (line, part) in [
        (
            "lust",
            "evms has: list, info, check, history, backup, restore, container, volume, activate, deactivate, status, why, node",
        ),
        ("container crate", "evms container has: create, modify"),
        ("volume", "a verb is missing"),
        ("volume --size 1G", "unknown verb '--size'"),
        ("list bananas", "there are disks, segments"),
        ("list disks volumes", "'volumes' is one word too many"),
        ("info", "NAME is missing"),
        ("info a b", "'b' is one word too many"),
        ("container create x a.img", "--private, --shared or --deported is missing"),
        ("container create x --private --shared a.img", "--private and --shared exclude each other"),
        ("container create x --shared --owner me a.img", "--shared and --owner exclude each other"),
        ("container create x --private", "DISK is missing"),
        ("container create a/b --private a.img", "'a/b'"),
        ("container create x --private --extent big a.img", "'big'"),
        ("container modify x --type secret", "'secret' is no type"),
        ("check --dry-run", "--repair"),
        ("--as nobody list", "'nobody' is no node UUID"),
        ("--disk a --include b list", "--disk and --include exclude each other"),
        ("--disk", "--disk wants a FILE"),
        ("--json=yes list", "--json takes no value"),
        ("--bananas list", "--disk, --include"),
        ("status now", "'now' is one word too many"),
        ("why data more", "'more' is one word too many"),
        ("node ping", "NODE is missing"),
        ("node ping n2 --count few", "'few' is not a number"),
        ("node crate", "evms node has: ping"),
    ] {
        run("evms", &line.split(' ').collect::<Vec<_>>()).refused(2, "evms", part);
    }
}

#[test]
fn other_nodes_are_not_reachable() {
    run("evms", &["--node", "far", "list", "disks"]).refused(7, "evms", "'far' is not this machine");
    run("evms", &["--node", "all", "list"]).refused(7, "evms", "'all'");
}

/// What only a daemon knows is asked of one; where none runs it is said how to see why.
#[test]
fn where_no_daemon_runs_it_is_said() {
    for line in ["status", "status --watch", "why", "list nodes", "--node far status", "node ping n2"] {
        let ended = run("evms", &line.split(' ').collect::<Vec<_>>());
        ended.refused(7, "evms", "evmsd of this machine cannot be reached");
        ended.refused(7, "evms", "evmsd --check");
    }
}
