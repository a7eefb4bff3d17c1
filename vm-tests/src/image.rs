//! What a guest boots into: one archive with busybox, the program under test, the chosen modules and `guest/init`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::archive::{Archive, Node};
use crate::kind::Kind;
use crate::modules::Modules;
use crate::parts::Parts;
use crate::trouble::Trouble;

const INIT: &[u8] = include_bytes!("../guest/init");
const APPLIANCE_INIT: &[u8] = include_bytes!("../../image/init");
const APPLIANCE_MODULES: &str = include_str!("../../image/modules");
const FOLDERS: [&str; 10] = ["dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var/lib", "usr/bin"];

/// An image in the making.
#[derive(Debug)]
pub struct Image {
    archive: Archive,
    modules: Modules,
    wanted: Vec<String>,
}

impl Image {
    /// The usual image: busybox and evms by all their names, the usual modules.
    pub fn usual(parts: &Parts) -> Result<Self, Trouble> {
        Self::of(parts, Kind::Emulated)
    }

    /// The same for machines of a kind: with the modules of their kernel.
    pub fn of(parts: &Parts, kind: Kind) -> Result<Self, Trouble> {
        let mut archive = Archive::default();
        for folder in FOLDERS {
            archive.folder(folder);
        }
        archive.node("dev/console", Node::Character(5, 1));
        archive.node("dev/null", Node::Character(1, 3));
        archive.file("init", 0o755, INIT.to_vec());
        put_busybox(&mut archive, &parts.busybox)?;
        put_evms(&mut archive, &parts.evms)?;
        let wanted = [kind.usual(), kind.network(), kind.events()].concat();
        let wanted = wanted.iter().map(ToString::to_string).collect();
        Ok(Self { archive, modules: Modules::read(kind.modules(parts))?, wanted })
    }

    /// What an appliance boots into: busybox, evms, `image/init`, and of the drivers in `image/modules` those that this
    /// kernel has.
    pub fn appliance(parts: &Parts) -> Result<Self, Trouble> {
        let mut image = Self::usual(parts)?;
        image.archive.file("init", 0o755, APPLIANCE_INIT.to_vec());
        image.wanted.clear();
        for module in APPLIANCE_MODULES.split_whitespace() {
            if image.modules.is_loadable(module).unwrap_or(false) {
                image.wanted.push(module.into());
            }
        }
        image.archive.file("etc/modules", 0o644, format!("{}\n", image.wanted.join("\n")).into());
        Ok(image)
    }

    /// An appliance's image in which something else runs first, and ends with `exec /init.appliance`.
    #[must_use]
    pub fn behind(mut self, first: &[u8]) -> Self {
        self.archive.file("init.appliance", 0o755, APPLIANCE_INIT.to_vec());
        self.archive.file("init", 0o755, first.to_vec());
        self
    }

    /// Carries a module, and what it needs, beside the usual ones.
    #[must_use]
    pub fn module(mut self, name: &str) -> Self {
        self.wanted.push(name.into());
        self
    }

    /// Carries a file.
    #[must_use]
    pub fn file(mut self, path: &str, permissions: u32, bytes: &[u8]) -> Self {
        self.archive.file(path, permissions, bytes.to_vec());
        self
    }

    /// Carries a program of this machine, with the libraries that it loads.
    pub fn program(mut self, path: &str) -> Result<Self, Trouble> {
        let path = Path::new(path);
        self.put_libraries(path, None)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.archive.file(&format!("bin/{name}"), 0o755, read(path)?);
        Ok(self)
    }

    /// Carries a program that `parts.sh` fetched, at its own place, with the libraries that it loads: fetched ones, and of
    /// this machine where none was fetched.
    pub fn fetched_program(mut self, parts: &Parts, path: &str) -> Result<Self, Trouble> {
        let source = parts.fetched(path)?;
        self.put_libraries(&source, Some(parts))?;
        self.archive.file(path, 0o755, read(&source)?);
        Ok(self)
    }

    /// Carries every file of a folder that `parts.sh` fetched, at its own place.
    pub fn fetched_folder(mut self, parts: &Parts, path: &str) -> Result<Self, Trouble> {
        let source = parts.fetched(path)?;
        for entry in fs::read_dir(&source).map_err(Trouble::file("looking into", &source))?.flatten() {
            if entry.path().is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                self.archive.file(&format!("{path}/{name}"), 0o644, read(&entry.path())?);
            }
        }
        Ok(self)
    }

    /// Carries a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.archive.link(path, target);
        self
    }

    fn put_libraries(&mut self, program: &Path, parts: Option<&Parts>) -> Result<(), Trouble> {
        let mut loader = Command::new("ldd");
        loader.arg(program);
        if let Some(parts) = parts {
            loader.env("LD_LIBRARY_PATH", &parts.libraries);
        }
        let said = loader.output().map_err(Trouble::io("asking for libraries"))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let libraries = said.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
        for library in libraries.map(Path::new) {
            let place = parts.and_then(|parts| library.strip_prefix(parts.home.join("root")).ok());
            let place = place.unwrap_or(library).display().to_string();
            self.archive.file(place.trim_start_matches('/'), 0o755, read(library)?);
        }
        Ok(())
    }

    /// Carries a program of `guest/`, which `build.sh vm` compiles.
    pub fn own_program(mut self, parts: &Parts, name: &str) -> Result<Self, Trouble> {
        let path = parts.home.join("programs").join(name);
        if !path.exists() {
            return Err(Trouble::Missing { path, remedy: "./build.sh vm compiles it from vm-tests/guest" });
        }
        self.archive.file(&format!("bin/{name}"), 0o755, read(&path)?);
        Ok(self)
    }

    /// The archive's bytes.
    pub fn pack(mut self) -> Result<Vec<u8>, Trouble> {
        let version = self.modules.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let home = format!("lib/modules/{version}");
        let chosen = self.modules.choose(&self.wanted)?;
        for file in &chosen.files {
            let bytes = read(&self.modules.folder().join(file))?;
            self.archive.file(&format!("{home}/{file}"), 0o644, bytes);
        }
        self.archive.file(&format!("{home}/modules.dep"), 0o644, chosen.needs.into());
        self.archive.file(&format!("{home}/modules.alias"), 0o644, chosen.aliases.into());
        Ok(self.archive.pack())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    fs::read(path).map_err(Trouble::file("reading", path))
}

/// Runs a program of the guest here, which works because it is static, and takes its lines.
fn lines(program: &Path, word: &str) -> Result<Vec<String>, Trouble> {
    let said = Command::new(program).arg(word).output().map_err(Trouble::file("running", program))?;
    Ok(String::from_utf8_lossy(&said.stdout).lines().map(|line| line.trim().to_string()).collect())
}

fn put_busybox(archive: &mut Archive, busybox: &Path) -> Result<(), Trouble> {
    archive.file("bin/busybox", 0o755, read(busybox)?);
    for path in lines(busybox, "--list-full")? {
        if !archive.has(&path) {
            archive.link(&path, "/bin/busybox");
        }
    }
    Ok(())
}

fn put_evms(archive: &mut Archive, evms: &Path) -> Result<(), Trouble> {
    archive.file("bin/evms", 0o755, read(evms)?);
    for name in lines(evms, "--list")? {
        let path = format!("bin/{name}");
        if !archive.has(&path) {
            archive.link(&path, "evms");
        }
    }
    Ok(())
}
