//! What one command costs in a guest, and how many of these become one figure.

use std::path::Path;

use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::trouble::Trouble;

/// Rounds of each row; the median is told, and the spread.
pub const ROUNDS: usize = 5;
/// One measured command.
pub const ROUND: Limit = Limit::seconds("a round", 400);
/// The emulator counts instructions: the guest's clock goes on by one nanosecond with each, and with the time of day
/// while the guest idles.
pub const COUNTING: [&str; 2] = ["-icount", "shift=0,sleep=on"];
/// The machine that owns the containers.
pub const NODE: &str = "11111111-2222-4333-8444-555555555555";

/// What a command cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Nanoseconds that processors worked for it.
    pub worked_ns: u64,
    /// Nanoseconds until it ended.
    pub took_ns: u64,
    /// The most memory that it had, in KiB.
    pub memory_kib: u64,
}

/// Runs a command under `span`.
pub fn cost(guest: &mut Guest, command: &str) -> Result<Cost, Trouble> {
    let output = guest.run_within(&format!("span {command}"), ROUND)?;
    let text = output.text();
    // What the command complained of stands before.
    let last = text.lines().last().unwrap_or_default();
    let mut numbers = last.split_whitespace().filter_map(|word| word.parse().ok());
    match (output.code, numbers.next(), numbers.next(), numbers.next()) {
        (0, Some(worked_ns), Some(took_ns), Some(memory_kib)) => Ok(Cost { worked_ns, took_ns, memory_kib }),
        _ => Err(Trouble::Code { command: command.into(), code: output.code, output: text }),
    }
}

/// Some values of one thing.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<u64>);

impl Values {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One more.
    pub fn add(&mut self, value: u64) {
        self.0.push(value);
        self.0.sort_unstable();
    }

    /// The middle one.
    pub fn median(&self) -> u64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(0)
    }

    /// The largest one.
    pub fn most(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }

    /// Milliseconds, with the spread.
    pub fn ms(&self) -> String {
        let ms = |ns: u64| ns as f64 / 1e6;
        let least = self.0.first().copied().unwrap_or(0);
        format!("{:.2} ({:.2}..{:.2})", ms(self.median()), ms(least), ms(self.most()))
    }
}

/// How many times the median of `other` this median is.
pub fn ratio(value: &Values, other: &Values) -> f64 {
    value.median() as f64 / other.median().max(1) as f64
}

/// The usual image with `dmsetup`, `lvm` and these programs of the bench.
pub fn image(parts: &vm_tests::parts::Parts, programs: &Path, names: &[&str]) -> Result<Image, Trouble> {
    let mut image = Image::usual(parts)?.program("/usr/sbin/dmsetup")?.program("/usr/sbin/lvm")?;
    for name in names {
        let path = programs.join(name);
        let bytes = std::fs::read(&path).map_err(Trouble::file("reading", &path))?;
        image = image.file(&format!("bin/{name}"), 0o755, &bytes);
    }
    Ok(image)
}
