//! A guest in the making: what machine it is.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::control::Control;
use crate::cord::Cord;
use crate::disk::Disk;
use crate::emulator;
use crate::events::Events;
use crate::guest::Guest;
use crate::kind::Kind;
use crate::modules::Modules;
use crate::network::{Card, Network};
use crate::parts::Parts;
use crate::trouble::Trouble;
use crate::user_mode;

const MEMORY_MIB: u32 = 256;

/// A guest in the making.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) parts: Parts,
    kind: Kind,
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) number: u8,
    pub(crate) events: Events,
    pub(crate) image: PathBuf,
    pub(crate) disks: Vec<Disk>,
    networks: Vec<Network>,
    pub(crate) clock: Option<String>,
    pub(crate) memory_mib: u32,
    /// None: what is usual for its kind.
    load: Option<Vec<String>>,
    kernel_words: Vec<String>,
    pub(crate) machine_words: Vec<String>,
}

/// The lines of a machine that is about to be turned on, its ends and ours.
pub(crate) struct Lines<End> {
    /// The emulator's control; where there is none, the guest's events.
    pub(crate) control: End,
    /// The shell's.
    pub(crate) console: End,
    /// The kernel's messages, along with whatever the machine itself complains about.
    pub(crate) kernel: End,
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
            kind: Kind::default(),
            folder: folder.into(),
            name: name.into(),
            number,
            events: events.clone(),
            image,
            disks: Vec::new(),
            networks: Vec::new(),
            clock: None,
            memory_mib: MEMORY_MIB,
            load: None,
            kernel_words: Vec::new(),
            machine_words: Vec::new(),
        }
    }

    /// Makes it a machine of a kind; its image is of the same ([`Image::of`](crate::image::Image::of)).
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
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
        self.load = Some(modules.iter().map(ToString::to_string).collect());
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
        let (here, there) = Lines::make()?;
        let cards = self.networks.iter().map(|network| network.card(&self.name, self.number, self.kind));
        let cards = cards.collect::<Result<Vec<_>, _>>()?;
        let begin = Instant::now();
        match self.kind {
            Kind::Emulated => {
                let events = self.folder.join(format!("{}.events", self.name));
                self.events.listen(&self.name, &events)?;
                self.events.say(&self.name, "power on");
                let cord = Cord::plug(emulator::command(&self, there, &events, &cards)?)?;
                let control = Control::on(here.control)?;
                Guest::on(cord, Some(control), [here.console, here.kernel], &self, begin)
            }
            Kind::UserMode => {
                self.events.say(&self.name, "power on");
                let cord = Cord::plug_group(user_mode::command(&self, there, &cards)?)?;
                self.events.take(&self.name, here.control);
                Guest::on(cord, None, [here.console, here.kernel], &self, begin)
            }
        }
    }

    /// What `guest/init` and the kernel are told, whatever the machine.
    pub(crate) fn words(&self, cards: &[Card]) -> Result<String, Trouble> {
        let modules = Modules::read(self.kind.modules(&self.parts))?;
        let usual = || self.kind.usual().iter().map(ToString::to_string).collect();
        let wanted: Vec<String> = self.load.clone().unwrap_or_else(usual);
        let network = self.kind.network().iter().filter(|_| !cards.is_empty());
        let mut load = Vec::new();
        for module in
            wanted.iter().map(String::as_str).chain(self.kind.events().iter().chain(network).copied())
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
        Ok(format!("{own} {}", self.kernel_words.join(" ")))
    }
}

impl Lines<OwnedFd> {
    /// Sockets, so that no file has to be waited for, and an end is an event.
    fn make() -> Result<(Lines<UnixStream>, Self), Trouble> {
        let pair = || UnixStream::pair().map_err(Trouble::io("making a line to the machine"));
        let (control, console, kernel) = (pair()?, pair()?, pair()?);
        let here = Lines { control: control.0, console: console.0, kernel: kernel.0 };
        let there = Self { control: control.1.into(), console: console.1.into(), kernel: kernel.1.into() };
        Ok((here, there))
    }
}
