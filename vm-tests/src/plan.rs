//! A guest in the making: what machine it is, in the emulator's words.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::cord::Cord;
use crate::disk::{Bus, Disk};
use crate::events::Events;
use crate::guest::Guest;
use crate::modules::{self, Modules};
use crate::network::{Card, Network};
use crate::parts::Parts;
use crate::trouble::Trouble;

/// Nothing that no test looks at; a machine without it is up sooner.
const MACHINE: &str = "q35,hpet=off,usb=off,smm=off,vmport=off,sata=off";
/// `nokaslr` so that runs are alike; the others leave out what costs time and proves nothing here. A panic or a
/// watchdog turns the machine off, because the emulator is told not to start it again.
const KERNEL_WORDS: &str = "console=ttyS1,115200 panic=-1 nokaslr mitigations=off tsc=reliable no_timer_check \
    random.trust_cpu=on 8250.nr_uarts=4 cryptomgr.notests audit=0 scsi_mod.scan=sync";
const MEMORY_MIB: u32 = 256;

/// A guest in the making.
#[derive(Clone, Debug)]
pub struct Plan {
    parts: Parts,
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) number: u8,
    pub(crate) events: Events,
    image: PathBuf,
    disks: Vec<Disk>,
    networks: Vec<Network>,
    clock: Option<String>,
    memory_mib: u32,
    load: Vec<String>,
    kernel_words: Vec<String>,
    machine_words: Vec<String>,
}

impl Plan {
    /// A guest without disks whose logs are in `folder`.
    pub(crate) fn new(
        parts: &Parts,
        folder: &Path,
        events: &Events,
        (name, number): (&str, u8),
        image: PathBuf,
    ) -> Self {
        Self {
            parts: parts.clone(),
            folder: folder.into(),
            name: name.into(),
            number,
            events: events.clone(),
            image,
            disks: Vec::new(),
            networks: Vec::new(),
            clock: None,
            memory_mib: MEMORY_MIB,
            load: modules::USUAL.iter().map(ToString::to_string).collect(),
            kernel_words: Vec::new(),
            machine_words: Vec::new(),
        }
    }

    /// Gives it a disk.
    #[must_use]
    pub fn disk(mut self, disk: &Disk) -> Self {
        self.disks.push(disk.clone());
        self
    }

    /// Gives it disks.
    #[must_use]
    pub fn disks<'a>(mut self, disks: impl IntoIterator<Item = &'a Disk>) -> Self {
        self.disks.extend(disks.into_iter().cloned());
        self
    }

    /// Gives it a card in a network, called as the network is, with the guest's address.
    #[must_use]
    pub fn nic(mut self, network: &Network) -> Self {
        self.networks.push(network.clone());
        self
    }

    /// Its hardware clock shows this at power on, `2031-02-03T04:05:06` in UTC, and its wall clock with it.
    #[must_use]
    pub fn clock_at(mut self, moment: &str) -> Self {
        self.clock = Some(moment.into());
        self
    }

    /// Gives it another size of memory.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Boots from another image.
    #[must_use]
    pub fn image(mut self, image: &Path) -> Self {
        self.image = image.into();
        self
    }

    /// Loads these modules at boot instead of the usual ones.
    #[must_use]
    pub fn load(mut self, modules: &[&str]) -> Self {
        self.load = modules.iter().map(ToString::to_string).collect();
        self
    }

    /// Adds a word to the kernel's command line.
    #[must_use]
    pub fn kernel_word(mut self, word: &str) -> Self {
        self.kernel_words.push(word.into());
        self
    }

    /// Adds words to the emulator's command line.
    #[must_use]
    pub fn machine_words(mut self, words: &[&str]) -> Self {
        self.machine_words.extend(words.iter().map(ToString::to_string));
        self
    }

    /// Turns it on and waits for its shell.
    pub fn start(self) -> Result<Guest, Trouble> {
        let mut guest = self.power_on()?;
        guest.wait_for_boot()?;
        Ok(guest)
    }

    /// Turns it on and does not wait: several guests can boot at once.
    pub fn power_on(self) -> Result<Guest, Trouble> {
        let (control_here, control_there) = pair()?;
        let (console_here, console_there) = pair()?;
        let (kernel_here, kernel_there) = pair()?;
        let events = self.folder.join(format!("{}.events", self.name));
        self.events.listen(&self.name, &events)?;
        let cards = self.networks.iter().map(|network| network.card(&self.name, self.number));
        let cards = cards.collect::<Result<Vec<_>, _>>()?;
        let begin = Instant::now();
        self.events.say(&self.name, "power on");
        let cord =
            Cord::plug(self.command([control_there, console_there, kernel_there], &events, &cards)?)?;
        Guest::on(cord, [control_here, console_here, kernel_here], &self, begin)
    }

    /// The emulator's three first files are sockets: control, console, and the kernel's messages along with whatever
    /// the emulator itself complains about. So no file has to be waited for, and an end is an event.
    fn command(&self, lines: [OwnedFd; 3], events: &Path, cards: &[Card]) -> Result<Command, Trouble> {
        let [control, console, kernel] = lines;
        let mut command = Command::new(&self.parts.qemu);
        command.env("LD_LIBRARY_PATH", &self.parts.libraries);
        command.env("QEMU_MODULE_DIR", &self.parts.qemu_modules);
        command.stdin(Stdio::from(control)).stdout(Stdio::from(console)).stderr(Stdio::from(kernel));
        for firmware in &self.parts.firmware {
            command.arg("-L").arg(firmware);
        }
        command.args(["-accel", "tcg", "-machine", MACHINE, "-cpu", "max", "-smp", "1", "-nodefaults"]);
        command.args(["-no-user-config", "-display", "none", "-no-reboot", "-m"]);
        command.arg(self.memory_mib.to_string());
        command.arg("-name").arg(&self.name);
        command.args(["-chardev", "socket,id=control,fd=0", "-mon", "chardev=control,mode=control"]);
        command.args(["-chardev", "socket,id=console,fd=1", "-serial", "chardev:console"]);
        command.args(["-chardev", "socket,id=kernel,fd=2", "-serial", "chardev:kernel"]);
        command.arg("-kernel").arg(&self.parts.kernel).arg("-initrd").arg(&self.image);
        command.arg("-append").arg(self.append(cards)?);
        command.args(["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=events", "-chardev"]);
        command.arg(format!("socket,id=events,path={}", escaped(events)));
        for (number, card) in cards.iter().enumerate() {
            command.args(card_words(number, card));
        }
        if let Some(moment) = &self.clock {
            command.args(["-rtc", &format!("base={moment}")]);
        }
        if self.disks.iter().any(|disk| disk.bus == Bus::VirtioScsi) {
            command.args(["-device", "virtio-scsi-pci,id=scsi"]);
        }
        for (number, disk) in self.disks.iter().enumerate() {
            command.args(disk.words(number, &self.name));
        }
        command.args(&self.machine_words);
        Ok(command)
    }

    fn append(&self, cards: &[Card]) -> Result<String, Trouble> {
        let modules = Modules::read(&self.parts.modules)?;
        let mut load = Vec::new();
        let network = modules::NETWORK.iter().filter(|_| !cards.is_empty());
        for module in
            self.load.iter().map(String::as_str).chain(modules::EVENTS.iter().chain(network).copied())
        {
            if modules.is_loadable(module)? {
                load.push(module);
            }
        }
        let mut own =
            format!("vm.name={} vm.load={} vm.disks={}", self.name, load.join(","), self.disks.len());
        for card in cards {
            own.push_str(&format!(" vm.card={}", card.word));
        }
        Ok(format!("{KERNEL_WORDS} {own} {}", self.kernel_words.join(" ")))
    }
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

fn pair() -> Result<(UnixStream, OwnedFd), Trouble> {
    let (here, there) = UnixStream::pair().map_err(Trouble::io("making a line to the machine"))?;
    Ok((here, OwnedFd::from(there)))
}
