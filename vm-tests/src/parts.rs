//! Where the things are that guests are made of: what `parts.sh` fetched, and the program under test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;

/// What the environment may name instead of the release binary of this tree.
pub const BINARY_VARIABLE: &str = "EVMS_BINARY";
/// What the environment may name instead of this tree's folder for parts and scenes.
pub const HOME_VARIABLE: &str = "EVMS_VM";

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/vm");
const BINARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/x86_64-unknown-linux-musl/release/evms");
const FETCH: &str = "vm-tests/parts.sh fetches it";
const BUILD: &str = "./build.sh release builds it, or EVMS_BINARY names another";

/// Paths of all parts, each seen to be there.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Folder of parts and scenes.
    pub home: PathBuf,
    /// The emulator.
    pub qemu: PathBuf,
    /// Where its libraries are, as the loader wants it.
    pub libraries: String,
    /// Where its own modules are.
    pub qemu_modules: PathBuf,
    /// Where its firmware is.
    pub firmware: Vec<PathBuf>,
    /// The guests' kernel.
    pub kernel: PathBuf,
    /// The folder of the kernel's modules, named after its version.
    pub modules: PathBuf,
    /// The kernel that is a process.
    pub user_kernel: PathBuf,
    /// The folder of its modules.
    pub user_modules: PathBuf,
    /// The guests' userland.
    pub busybox: PathBuf,
    /// The program under test.
    pub evms: PathBuf,
}

impl Parts {
    /// Looks for every part.
    pub fn find() -> Result<Self, Trouble> {
        let home = absolute(env::var_os(HOME_VARIABLE).map_or_else(|| HOME.into(), PathBuf::from), FETCH)?;
        let root = home.join("root");
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        Ok(Self {
            qemu: present(root.join("usr/bin/qemu-system-x86_64"), FETCH)?,
            libraries: libraries.map(|folder| root.join(folder).display().to_string()).join(":"),
            qemu_modules: root.join("usr/lib/x86_64-linux-gnu/qemu"),
            firmware: ["usr/share/qemu", "usr/share/seabios"].map(|folder| root.join(folder)).to_vec(),
            kernel: only_one(&root.join("boot"), "vmlinuz-")?,
            modules: modules(&root)?,
            user_kernel: present(root.join("usr/bin/linux.uml"), FETCH)?,
            user_modules: only_one(&root.join("usr/lib/uml/modules"), "")?,
            busybox: either(&root, &["bin/busybox", "usr/bin/busybox"])?,
            evms: absolute(env::var_os(BINARY_VARIABLE).map_or_else(|| BINARY.into(), PathBuf::from), BUILD)?,
            home,
        })
    }
}

impl Parts {
    /// A file or folder that was fetched, by its place below the root; Debian moved what was in `lib` to `usr/lib`.
    pub fn fetched(&self, path: &str) -> Result<PathBuf, Trouble> {
        let moved = format!("usr/{path}");
        either(&self.home.join("root"), &[path, &moved])
    }
}

fn present(path: PathBuf, remedy: &'static str) -> Result<PathBuf, Trouble> {
    if path.exists() { Ok(path) } else { Err(Trouble::Missing { path, remedy }) }
}

fn absolute(path: PathBuf, remedy: &'static str) -> Result<PathBuf, Trouble> {
    path.canonicalize().map_err(|_| Trouble::Missing { path, remedy })
}

/// Debian moved everything below /usr; which of both is known only by looking.
fn either(root: &Path, places: &[&str]) -> Result<PathBuf, Trouble> {
    let found = places.iter().map(|place| root.join(place)).find(|path| path.exists());
    found.ok_or_else(|| Trouble::Missing { path: root.join(places[0]), remedy: FETCH })
}

fn modules(root: &Path) -> Result<PathBuf, Trouble> {
    only_one(&either(root, &["lib/modules", "usr/lib/modules"])?, "")
}

fn only_one(folder: &Path, prefix: &str) -> Result<PathBuf, Trouble> {
    let entries = fs::read_dir(folder).map_err(Trouble::file("looking into", folder))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut fitting: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    fitting.sort();
    let missing = || Trouble::Missing { path: folder.join(format!("{prefix}VERSION")), remedy: FETCH };
    fitting.pop().map(|name| folder.join(name)).ok_or_else(missing)
}
