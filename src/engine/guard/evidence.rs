//! Why the owner of a container cannot write to it any more. Whoever takes a container from a machine brings such a value, and there
//! is no other way to one than the functions of this file (safety 5.1, law L8).

use crate::base::id::NodeUuid;

/// What it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// An administrator swore it: good for what that word is good for, against a machine that still runs nothing.
    Word,
}

/// Evidence against one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    victim: NodeUuid,
    ground: Ground,
}

impl Evidence {
    /// The machine that cannot write any more.
    pub fn victim(self) -> NodeUuid {
        self.victim
    }

    /// What it rests on, as the end of a sentence.
    pub fn in_words(self) -> &'static str {
        match self.ground {
            Ground::Word => "by an administrator's word that it is off",
        }
    }
}

/// What has to be sworn, word by word: it names the machine, so that it cannot be said without looking which one it is.
pub fn oath(owner: &str) -> String {
    format!("{owner} is off")
}

/// An administrator's word against the machine that people call so. Nothing when it is not the whole of [`oath`].
pub fn word(victim: NodeUuid, called: &str, sworn: &str) -> Option<Evidence> {
    (sworn.trim() == oath(called)).then_some(Evidence { victim, ground: Ground::Word })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_whole_of_it() {
        let victim = NodeUuid([3; 16]);
        assert_eq!(word(victim, "n1", " n1 is off\n").map(Evidence::victim), Some(victim));
        for sworn in ["", "yes", "n1", "n2 is off", "n1 is of", "N1 IS OFF", "n1 is off?"] {
            assert_eq!(word(victim, "n1", sworn), None, "{sworn}");
        }
    }
}
