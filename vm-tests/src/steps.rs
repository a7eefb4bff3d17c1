//! A container's life in changes of every kind, each with what the disks must show from then on, written down by hand.

/// What the disks are called in the lines.
pub const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// The machine that begins.
pub const ME: &str = "11111111-2222-4333-8444-555555555555";
/// The machine that is given the container.
pub const OTHER: &str = "99999999-8888-4777-a666-555555555555";

/// One change: who makes it, what brings it about after a cut, and what the disks show from then on.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The machine that makes it.
    pub node: &'static str,
    /// What it says to evms.
    pub change: &'static str,
    /// What finishes it, where that is not the change itself.
    pub again: &'static str,
    /// The model from then on, as [`crate::images::model`] reads it.
    pub shows: &'static [&'static str],
}

const CREATE: &str = "container create data --private --owner me --extent 1M --slot 64K a b c";
const CREATE_AGAIN: &str =
    "container create data --private --owner me --extent 1M --slot 64K a b c --wipe evms";

/// A disk of 16 MiB has ends of 4 MiB each, so a container has 8 MiB of each disk.
pub const STEPS: &[Step] = &[
    Step { node: ME, change: CREATE, again: CREATE_AGAIN, shows: &["data private me 3 0 24 MiB"] },
    Step {
        node: ME,
        change: "volume create data/home --size 3M",
        again: "",
        shows: &["data private me 3 1 24 MiB", "data/home 3 MiB linear 1"],
    },
    Step {
        node: ME,
        change: "volume create data/fast --size 6M --stripes 3",
        again: "",
        shows: &[
            "data private me 3 2 24 MiB",
            "data/home 3 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "container expand data d",
        again: "container expand data d --wipe evms",
        shows: &[
            "data private me 4 2 32 MiB",
            "data/home 3 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "volume expand data/home --size 5M",
        again: "",
        shows: &[
            "data private me 4 2 32 MiB",
            "data/home 5 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "container shrink data d",
        again: "",
        shows: &[
            "data private me 3 2 24 MiB",
            "data/home 5 MiB linear 1",
            "data/fast 6 MiB stripe 3 x 64 KiB 1 2 3",
        ],
    },
    Step {
        node: ME,
        change: "volume delete data/fast",
        again: "",
        shows: &["data private me 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step {
        node: ME,
        change: "container modify data --owner 99999999-8888-4777-a666-555555555555",
        again: "",
        shows: &["data private other 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step {
        node: OTHER,
        change: "container deport data",
        again: "",
        shows: &["data deported - 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step {
        node: ME,
        change: "container import data",
        again: "",
        shows: &["data private me 3 1 24 MiB", "data/home 5 MiB linear 1"],
    },
    Step { node: ME, change: "volume delete data/home", again: "", shows: &["data private me 3 0 24 MiB"] },
    Step { node: ME, change: "container delete data", again: "", shows: &[] },
];

/// A line for the guest or for images: the words that are [`NAMES`] of disks become what `node_of` says.
pub fn with_disks(line: &str, node_of: impl Fn(&str) -> String) -> String {
    let words = line.split(' ').map(|word| if NAMES.contains(&word) { node_of(word) } else { word.into() });
    words.collect::<Vec<String>>().join(" ")
}
