//! Measures activation in a guest beside the least that would do, and deactivation: `bench BARE SPAN`, two static
//! programs made from `../../bench`. Instructions are counted: the guest's clock goes on by one nanosecond with each.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

const NODE: &str = "11111111-2222-4333-8444-555555555555";
const DISK_MIB: u64 = 320;
const VOLUME_MIB: u64 = 1;
/// Rounds of each row; the median is told, and the spread.
const ROUNDS: usize = 5;
const LONG: Limit = Limit::seconds("a round", 400);

fn main() {
    let programs = env::args().skip(1).collect::<Vec<_>>();
    let [bare, span] = programs.as_slice() else {
        eprintln!("usage: bench BARE SPAN");
        return;
    };
    scene::play("bench", |scene| {
        println!(
            "{:>8}  {:>22}  {:>22}  {:>6}  {:>22}  {:>10}",
            "volumes", "bare, ms", "evms, ms", "ratio", "deactivate, ms", "evms, KiB"
        );
        for count in [1, 100, 1000] {
            row(scene, count, Path::new(bare), Path::new(span))?;
        }
        Ok(())
    });
}

/// Four disks with a container of so many volumes, made here on the image files.
fn prepare(scene: &Scene, count: u64) -> Result<Vec<Disk>, Trouble> {
    let names = ["a", "b", "c", "d"].map(|name| format!("{name}{count}"));
    let disks = names.iter().map(|name| scene.disk(name, DISK_MIB)).collect::<Result<Vec<_>, _>>()?;
    let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
    let evms = |words: &[&str]| {
        let mut command = Command::new(&scene.parts().evms);
        command.args(["--as", NODE]).args(words).env("EVMS_DISKS", paths.join(":"));
        let said = command.output().map_err(Trouble::io("running evms"))?;
        if said.status.success() {
            return Ok(());
        }
        Err(Trouble::Unexpected(String::from_utf8_lossy(&said.stderr).into_owned()))
    };
    let mut create = vec!["container", "create", "data", "--private", "--owner", "me", "--extent", "1M"];
    create.extend(paths.iter().map(String::as_str));
    evms(&create)?;
    for number in 0..count {
        let name = format!("data/v{number}");
        evms(&["volume", "create", &name, "--size", &format!("{VOLUME_MIB}M")])?;
    }
    Ok(disks)
}

/// Nanoseconds and the most memory of one command.
fn span(guest: &mut Guest, command: &str) -> Result<(u64, u64), Trouble> {
    let output = guest.run_within(&format!("span {command}"), LONG)?;
    let text = output.text();
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    match (output.code, numbers.next(), numbers.next()) {
        (0, Some(time_ns), Some(memory_kib)) => Ok((time_ns, memory_kib)),
        _ => Err(Trouble::Code { command: command.into(), code: output.code, output: text }),
    }
}

fn median(mut values: Vec<u64>) -> (u64, u64, u64) {
    values.sort_unstable();
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn told((median, least, most): (u64, u64, u64)) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    format!("{:.1} ({:.1}..{:.1})", ms(median), ms(least), ms(most))
}

fn row(scene: &Scene, count: u64, bare: &Path, span_program: &Path) -> Result<(), Trouble> {
    let disks = prepare(scene, count)?;
    let mut image = Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?;
    for (name, path) in [("bin/bare", bare), ("bin/span", span_program)] {
        let bytes = fs::read(path).map_err(Trouble::file("reading", path))?;
        image = image.file(name, 0o755, &bytes);
    }
    let image = scene.image(&format!("bench{count}"), image)?;
    let plan = scene.guest(&format!("bench{count}"))?.image(&image).disks(&disks);
    let mut guest = plan.machine_words(&["-icount", "shift=0,sleep=off"]).start()?;
    guest.ok(&format!("mkdir -p /etc/evms; echo {NODE} >/etc/evms/node"))?;
    let numbers = "for d in a b c d; do for at in /sys/block/vd*; do
        [ \"$(cat $at/serial)\" != $d$count ] || cat $at/dev; done; done";
    let numbers =
        guest.ok(&format!("count={count}; {numbers}"))?.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut bares, mut ours, mut downs, mut memory) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        bares.push(span(&mut guest, &format!("bare {count} {} {numbers}", VOLUME_MIB * 2048))?.0);
        guest.run_within("dmsetup remove_all; rm -r /dev/bare", LONG)?;
        let (time_ns, memory_kib) = span(&mut guest, "evms activate data")?;
        ours.push(time_ns);
        memory = memory.max(memory_kib);
        downs.push(span(&mut guest, "evms deactivate data")?.0);
    }
    let (bares, ours, downs) = (median(bares), median(ours), median(downs));
    let ratio = ours.0 as f64 / bares.0 as f64;
    println!(
        "{count:>8}  {:>22}  {:>22}  {ratio:>6.2}  {:>22}  {memory:>10}",
        told(bares),
        told(ours),
        told(downs)
    );
    Ok(())
}
