//! The rules of the house as tables (design section 3). A new room, crate or exception is a line here, with its
//! reason in the commit.

/// The rooms under `src/` and their floors. A path may only point to the same room or to a lower floor; two rooms
/// on one floor never see each other.
pub const FLOORS: &[(&str, u8)] =
    &[("base", 0), ("format", 1), ("volume", 2), ("cluster", 2), ("engine", 3), ("host", 4), ("run", 5)];

/// First floor that may do I/O.
pub const FLOOR_HOST: u8 = 4;

/// What `applets/` may name of the library: the loops, floor 0, the values that requests and reports are made of, and the memory of the
/// program.
pub const APPLETS_MAY_USE: &[&str] =
    &["run", "base", "format::control", "volume::request", "volume::report", "host::sys::pool::Everywhere"];

/// Crates from outside, and the rooms that may name them. A crate that is in no row may be used nowhere.
pub const CRATES: &[(&str, &[&str])] = &[
    ("core", EVERYWHERE),
    ("alloc", EVERYWHERE),
    ("std", EVERYWHERE),
    ("serde", EVERYWHERE),
    ("sha2", &["base", "format", "volume", "cluster", "engine", "host", "run"]),
    ("uuid", &["base", "format", "volume", "cluster", "engine", "host", "run"]),
    ("crc32fast", &["format"]),
    ("evms_aead", &["cluster"]),
    ("hkdf", &["cluster"]),
    ("toml_span", &["cluster"]),
    // The parameters of a region are its plug-in's own words, kept inside a section of the model; what nodes say to each
    // other is values of the cluster's own rooms.
    ("postcard", &["format", "volume", "cluster"]),
    ("log", &["volume", "cluster", "engine", "host", "run", "applets"]),
    ("nix", &["host"]),
    ("devicemapper", &["host"]),
    ("socket2", &["host"]),
    ("libc", &["host"]),
    ("smol", &["run"]),
    ("serde_json", &["applets"]),
    ("dlmalloc", &["host"]),
];

const EVERYWHERE: &[&str] = &["base", "format", "volume", "cluster", "engine", "host", "run", "applets"];

/// Where a ban holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Floors below host.
    BelowHost,
    /// All of `src/` and `applets/` but these files.
    AllBut(&'static [&'static str]),
    /// All of `src/` and `applets/`.
    All,
}

/// Texts that may not stand in code (comments, strings and `#[cfg(test)]` items are not code), and what to do
/// instead. A text is found between word boundaries, spaces ignored.
pub const BANS: &[(&str, Where, &str)] = &[
    ("std::fs", Where::BelowHost, "no I/O below host: emit a command"),
    ("std::io", Where::BelowHost, "no I/O below host: emit a command"),
    ("std::os", Where::BelowHost, "no I/O below host: emit a command"),
    ("std::path", Where::BelowHost, "paths belong to host: name a disk by its id"),
    ("std::net", Where::BelowHost, "no I/O below host: emit a command"),
    ("std::thread", Where::BelowHost, "no threads below host"),
    ("std::process", Where::BelowHost, "no processes below host"),
    ("std::env", Where::BelowHost, "take it as an argument"),
    ("std::time", Where::BelowHost, "take `now` as an argument, of base::time"),
    ("Instant::now", Where::BelowHost, "take `now` as an argument"),
    ("SystemTime", Where::BelowHost, "take `now` as an argument"),
    ("HashMap", Where::BelowHost, "BTreeMap: order must repeat"),
    ("HashSet", Where::BelowHost, "BTreeSet: order must repeat"),
    ("RandomState", Where::BelowHost, "order must repeat"),
    ("rand", Where::BelowHost, "take `&mut Dice` as an argument"),
    ("async", Where::BelowHost, "no async below host: return a command"),
    ("await", Where::BelowHost, "no async below host: return a command"),
    ("static mut", Where::All, "no global state"),
    ("thread_local!", Where::BelowHost, "no global state"),
    ("OnceLock", Where::BelowHost, "no global state"),
    ("LazyLock", Where::BelowHost, "no global state"),
    ("Mutex", Where::BelowHost, "no global state, no threads"),
    ("println!", Where::All, "it panics when stdout is gone: applets/out.rs prints"),
    ("print!", Where::All, "it panics when stdout is gone: applets/out.rs prints"),
    ("eprintln!", Where::All, "it panics when stderr is gone: applets/out.rs complains, log logs"),
    ("eprint!", Where::All, "it panics when stderr is gone: applets/out.rs complains, log logs"),
    ("dbg!", Where::All, "take it out"),
    (
        "unsafe",
        Where::AllBut(&["src/host/sys.rs", "src/host/sys/pool.rs"]),
        "unsafe lives in src/host/sys.rs",
    ),
    (
        "process::exit",
        Where::AllBut(&["applets/main.rs"]),
        "return an Exit: applets/main.rs ends the program",
    ),
    ("ExitCode", Where::AllBut(&["applets/main.rs"]), "return an Exit: applets/main.rs ends the program"),
    ("process::abort", Where::All, "return an error"),
    (".unwrap()", Where::All, "return an error"),
    (".unwrap_err()", Where::All, "return an error"),
    (".expect(", Where::All, "return an error"),
    (".expect_err(", Where::All, "return an error"),
    ("panic!", Where::All, "return an error, or assert what only a bug can break"),
    ("todo!", Where::All, "do it, or leave it out"),
    ("unimplemented!", Where::All, "do it, or leave it out"),
    ("unreachable!", Where::All, "let the types say it, or return an error"),
];

/// Lines of a function, from `fn` to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;
/// Functions that are longer: file, name, lines. A ratchet: a row may shrink or go, never grow or come.
pub const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Lines of code in a file: blank lines, comments and `#[cfg(test)]` items do not count.
pub const FILE_LINES_MAX: usize = 500;

/// Names that say nothing. If a thing has no noun, it has no room yet.
pub const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "core", "shared", "stuff", "tools", "types"];
