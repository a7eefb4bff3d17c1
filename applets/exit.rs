//! The one table of exit codes. Every failure says its [`Kind`]; only here does a kind become a number, so that
//! a boot script can tell *not owner* from *broken* whatever the verb was.

use evms::base::failure::Kind;

/// How an applet ended. Where several fit, the most specific wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already so.
    Done = 0,
    /// Refused for a reason that no other code covers.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No such container, volume, disk or copy.
    NotFound = 3,
    /// Not owner, or not quorate.
    NotOwner = 4,
    /// Damaged metadata.
    Damage = 5,
    /// A device failed, or there is no room to write the answer.
    Device = 6,
    /// The daemon is not reachable.
    NoDaemon = 7,
}

/// The table as `--help` prints it. A test holds it against the enum.
pub const TEXT: &str = "\
Exit codes (the most specific wins):
  0  done, or already so
  1  refused, for a reason that has no code of its own
  2  usage: the command line is wrong
  3  not found
  4  not owner, or not quorate
  5  damaged metadata
  6  device error
  7  daemon not reachable
";

impl Exit {
    /// The exit with this number.
    pub fn of(code: u8) -> Exit {
        let all = [
            Exit::Done,
            Exit::Refused,
            Exit::Usage,
            Exit::NotFound,
            Exit::NotOwner,
            Exit::Damage,
            Exit::NoDaemon,
        ];
        all.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Device)
    }

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Exit {
        match kind {
            Kind::Refused => Exit::Refused,
            Kind::Usage => Exit::Usage,
            Kind::NotFound => Exit::NotFound,
            Kind::NotOwner => Exit::NotOwner,
            Kind::Damage => Exit::Damage,
            Kind::Device => Exit::Device,
            Kind::NoDaemon => Exit::NoDaemon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_code_of_the_design() {
        let table = [
            (Kind::Refused, 1),
            (Kind::Usage, 2),
            (Kind::NotFound, 3),
            (Kind::NotOwner, 4),
            (Kind::Damage, 5),
            (Kind::Device, 6),
            (Kind::NoDaemon, 7),
        ];
        for (kind, code) in table {
            assert_eq!(Exit::from(kind).code(), code, "{kind:?}");
            assert!(TEXT.contains(&format!("\n  {code}  ")), "{code} is not in the help");
        }
        assert_eq!(Exit::Done.code(), 0);
        assert!(TEXT.contains("\n  0  "));
    }
}
