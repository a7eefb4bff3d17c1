//! A machine in the emulator's words.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::disk::Bus;
use crate::network::Card;
use crate::plan::{Lines, Plan};
use crate::trouble::Trouble;

/// Nothing that no test looks at; a machine without it is up sooner.
const MACHINE: &str = "q35,hpet=off,usb=off,smm=off,vmport=off,sata=off";
/// `nokaslr` so that runs are alike; the others leave out what costs time and proves nothing here. A panic or a
/// watchdog turns the machine off, because the emulator is told not to start it again.
const KERNEL_WORDS: &str = "console=ttyS1,115200 panic=-1 nokaslr mitigations=off tsc=reliable no_timer_check \
    random.trust_cpu=on 8250.nr_uarts=4 cryptomgr.notests audit=0 scsi_mod.scan=sync";

/// The emulator's three first files are the lines, in their order.
pub(crate) fn command(
    plan: &Plan,
    lines: Lines<OwnedFd>,
    events: &Path,
    cards: &[Card],
) -> Result<Command, Trouble> {
    let parts = &plan.parts;
    let mut command = Command::new(&parts.qemu);
    command.env("LD_LIBRARY_PATH", &parts.libraries);
    command.env("QEMU_MODULE_DIR", &parts.qemu_modules);
    command.stdin(Stdio::from(lines.control)).stdout(Stdio::from(lines.console));
    command.stderr(Stdio::from(lines.kernel));
    for firmware in &parts.firmware {
        command.arg("-L").arg(firmware);
    }
    command.args(["-accel", "tcg", "-machine", MACHINE, "-cpu", "max", "-smp", "1", "-nodefaults"]);
    command.args(["-no-user-config", "-display", "none", "-no-reboot", "-m"]);
    command.arg(plan.memory_mib.to_string());
    command.arg("-name").arg(&plan.name);
    command.args(["-chardev", "socket,id=control,fd=0", "-mon", "chardev=control,mode=control"]);
    command.args(["-chardev", "socket,id=console,fd=1", "-serial", "chardev:console"]);
    command.args(["-chardev", "socket,id=kernel,fd=2", "-serial", "chardev:kernel"]);
    command.arg("-kernel").arg(&parts.kernel).arg("-initrd").arg(&plan.image);
    command.arg("-append").arg(format!("{KERNEL_WORDS} {}", plan.words(cards)?));
    command.args(["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=events", "-chardev"]);
    command.arg(format!("socket,id=events,path={}", escaped(events)));
    for (number, card) in cards.iter().enumerate() {
        command.args(card_words(number, card));
    }
    if let Some(moment) = &plan.clock {
        command.args(["-rtc", &format!("base={moment}")]);
    }
    if plan.disks.iter().any(|disk| disk.bus == Bus::VirtioScsi) {
        command.args(["-device", "virtio-scsi-pci,id=scsi"]);
    }
    for (number, disk) in plan.disks.iter().enumerate() {
        command.args(disk.words(number, &plan.name));
    }
    command.args(&plan.machine_words);
    Ok(command)
}

/// `romfile=`: nobody boots from the network.
fn card_words(number: usize, card: &Card) -> [String; 4] {
    [
        "-netdev".into(),
        format!("stream,id=card{number},server=off,addr.type=unix,addr.path={}", escaped(&card.socket)),
        "-device".into(),
        format!("virtio-net-pci,netdev=card{number},mac={},romfile=", card.mac),
    ]
}

/// A path among the emulator's words.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
