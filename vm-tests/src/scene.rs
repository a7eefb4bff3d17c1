//! A scene: the folder in which one test plays, with its disks and what its consoles said. Gone when the test passes;
//! kept, and its last words printed, when it fails.

use std::cell::{OnceCell, RefCell};
use std::fmt::Write as _;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use crate::dice::Dice;
use crate::disk::Disk;
use crate::events::Events;
use crate::image::Image;
use crate::network::Network;
use crate::parts::Parts;
use crate::plan::Plan;
use crate::san::San;
use crate::stream::tail;
use crate::trouble::{self, Trouble};

/// A number is a byte of addresses.
const NUMBERED_MAX: usize = 250;

/// Where a test plays.
#[derive(Debug)]
pub struct Scene {
    parts: Parts,
    folder: PathBuf,
    image: OnceCell<PathBuf>,
    events: Events,
    /// Guests and networks in the order in which they were first named: their numbers.
    guests: RefCell<Vec<String>>,
    networks: RefCell<Vec<String>>,
}

/// Plays one of many scenes: what broke is answered, with the end of every console and where the disks are.
pub fn attempt(name: &str, act: impl FnOnce(&Scene) -> Result<(), Trouble>) -> Result<(), Trouble> {
    let scene = Scene::set(name)?;
    let end = panic::catch_unwind(AssertUnwindSafe(|| act(&scene)));
    match end.unwrap_or_else(|why| Err(Trouble::Unexpected(trouble::of_panic(&*why)))) {
        Ok(()) => {
            scene.strike();
            Ok(())
        }
        Err(trouble) => Err(Trouble::Unexpected(format!("{}{name}: {trouble}", scene.last_words()))),
    }
}

/// Plays a scene. Fails as a test fails: with the trouble, the end of every console, and where the disks are.
#[allow(clippy::panic, reason = "it is how a test fails")]
pub fn play(name: &str, act: impl FnOnce(&Scene) -> Result<(), Trouble>) {
    let scene = Scene::set(name).unwrap_or_else(|trouble| panic!("{name}: {trouble}"));
    // Guests live inside the act: they are off before anything is printed or removed.
    let end = panic::catch_unwind(AssertUnwindSafe(|| act(&scene)));
    match end {
        Ok(Ok(())) => scene.strike(),
        Ok(Err(trouble)) => {
            eprint!("{}", scene.last_words());
            panic!("{name}: {trouble}");
        }
        Err(assertion) => {
            eprint!("{}", scene.last_words());
            panic::resume_unwind(assertion);
        }
    }
}

impl Scene {
    /// What an earlier failure kept goes now: the folder's name is the test's, so that it can be found.
    fn set(name: &str) -> Result<Self, Trouble> {
        let parts = Parts::find()?;
        let folder = parts.home.join("scenes").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Trouble::file("clearing", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(Trouble::file("making", &folder))?;
        let events = Events::on(&folder.join("events.log"))?;
        let (guests, networks) = (RefCell::default(), RefCell::default());
        Ok(Self { parts, folder, image: OnceCell::new(), events, guests, networks })
    }

    /// The folder, for files of the test's own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The parts that guests are made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Makes an empty disk of so many MiB.
    pub fn disk(&self, name: &str, size_mib: u64) -> Result<Disk, Trouble> {
        Disk::create(&self.folder, name, size_mib)
    }

    /// Writes an image other than the usual one, for [`Plan::image`].
    pub fn image(&self, name: &str, image: Image) -> Result<PathBuf, Trouble> {
        let path = self.folder.join(format!("{name}.cpio"));
        fs::write(&path, image.pack()?).map_err(Trouble::file("writing", &path))?;
        Ok(path)
    }

    /// Plans a guest with the usual image. A name given twice is the same machine on its next boot: the logs go on.
    pub fn guest(&self, name: &str) -> Result<Plan, Trouble> {
        let image = match self.image.get() {
            Some(image) => image.clone(),
            None => self.image("usual", Image::usual(&self.parts)?)?,
        };
        let image = self.image.get_or_init(|| image).clone();
        let number = number_of(&self.guests, name);
        Ok(Plan::new(&self.parts, &self.folder, &self.events, (name, number), image))
    }

    /// Makes a network, for [`Plan::nic`]. Its chance comes of `EVMS_VM_SEED`, or of this moment.
    pub fn network(&self, name: &str) -> Network {
        let number = number_of(&self.networks, name);
        Network::new(&self.folder, &self.events, name, number, Dice::seed())
    }

    /// Serves disks over a storage network of their own: give guests [`San::disks`]. One for a scene.
    pub fn san(&self, disks: &[&Disk]) -> Result<San, Trouble> {
        San::start(&self.parts, &self.folder, disks)
    }

    /// What happens in the scene.
    pub fn events(&self) -> &Events {
        &self.events
    }

    fn strike(self) {
        if let Err(source) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} stays: {source}", self.folder.display());
        }
    }

    fn last_words(&self) -> String {
        let mut said = String::new();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| is_console(path)) {
            let console = tail(&fs::read(path).unwrap_or_default());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let _ = writeln!(said, "---- the end of {name}\n{console}");
        }
        let _ = writeln!(said, "---- the last events\n{}", self.events.end());
        let _ = writeln!(said, "---- disks and whole consoles are kept in {}", self.folder.display());
        said
    }
}

/// The last events are shown by themselves.
fn is_console(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "log") && !path.ends_with("events.log")
}

/// Counted from 1; a name has the number that it was given first.
fn number_of(names: &RefCell<Vec<String>>, name: &str) -> u8 {
    let mut names = names.borrow_mut();
    let place = names.iter().position(|known| known == name);
    let place = place.unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    });
    assert!(place < NUMBERED_MAX, "so many guests or networks have no numbers");
    place as u8 + 1
}
