//! LVM beside us, on disks of its own in the same guest: a volume group of so many linear volumes, made in one step from
//! a text, because making a thousand one by one takes half an hour here.

use std::fmt::Write;

use vm_tests::guest::Guest;
use vm_tests::trouble::Trouble;

use crate::measure::ROUND;

/// No udev here, and no daemons: as in an initramfs.
pub const CONFIG: &str = "devices{use_devicesfile=0 obtain_device_list_from_udev=0} \
    activation{udev_sync=0 udev_rules=0 monitoring=0} global{event_activation=0} backup{backup=0 archive=0}";

/// A command of LVM, as a line.
pub fn line(words: &str) -> String {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    format!("lvm {verb} --config '{CONFIG}' {rest}")
}

fn run(guest: &mut Guest, words: &str) -> Result<String, Trouble> {
    let command = line(words);
    let output = guest.run_within(&command, ROUND)?;
    match output.code {
        0 => Ok(output.text()),
        code => Err(Trouble::Code { command, code, output: output.text() }),
    }
}

/// An id as LVM writes them, made of a number.
fn id(number: u64) -> String {
    let digits = format!("{number:032}");
    let ends = [6, 10, 14, 18, 22, 26, 32];
    let begins = [0, 6, 10, 14, 18, 22, 26];
    let parts = begins.iter().zip(ends).map(|(begin, end)| &digits[*begin..end]);
    parts.collect::<Vec<_>>().join("-")
}

/// The volumes as they stand in the text: one extent each, dealt out to the disks in turn.
fn volumes(count: u64, disks: u64) -> String {
    let mut text = String::from("logical_volumes {\n");
    for number in 0..count {
        let (disk, extent) = (number % disks, number / disks);
        let _ = writeln!(
            text,
            "v{number} {{\nid = \"{}\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n\
             segment1 {{\nstart_extent = 0\nextent_count = 1\ntype = \"striped\"\nstripe_count = 1\n\
             stripes = [\"pv{disk}\", {extent}]\n}}\n}}",
            id(number + 1)
        );
    }
    text + "}\n"
}

/// Makes the volume group `vg` on these disks, of as many linear volumes of one MiB.
pub fn prepare(guest: &mut Guest, devices: &[String], count: u64) -> Result<(), Trouble> {
    guest.ok("mkdir -p /run/lock/lvm /etc/lvm/backup")?;
    let all = devices.join(" ");
    run(guest, &format!("pvcreate -q --metadatasize 4m {all}"))?;
    run(guest, &format!("vgcreate -q -s 1m vg {all}"))?;
    run(guest, "vgcfgbackup -q -f /tmp/vg vg")?;
    let text = guest.ok("cat /tmp/vg")?;
    // The text ends with the disks, the end of the group, and the time it was made.
    let at =
        text.rfind("\n}\n").ok_or_else(|| Trouble::Unexpected(format!("no end of a group in {text}")))?;
    let whole = format!("{}\n{}{}", &text[..at], volumes(count, devices.len() as u64), &text[at..]);
    guest.push("/tmp/vg", whole.as_bytes())?;
    run(guest, "vgcfgrestore -q -f /tmp/vg vg").map(drop)
}
