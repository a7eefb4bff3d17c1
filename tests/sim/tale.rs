//! What happened in a run, the last of it: kept where a seed is replayed, and not asked for where thousands are run.

use std::collections::VecDeque;

/// Events that are kept to be shown.
const EVENTS_MAX: usize = 200;

#[derive(Default)]
pub struct Tale {
    lines: VecDeque<String>,
    is_told: bool,
    /// Said at once, and not kept.
    is_aloud: bool,
}

impl Tale {
    pub fn new(is_told: bool) -> Tale {
        Tale { lines: VecDeque::new(), is_told, is_aloud: false }
    }

    /// What happens is printed as it does.
    pub fn aloud(is_aloud: bool) -> Tale {
        Tale { lines: VecDeque::new(), is_told: false, is_aloud }
    }

    pub fn tell(&mut self, now_us: u64, words: impl FnOnce() -> String) {
        if self.is_aloud {
            println!("{:>12.6} {}", now_us as f64 / 1e6, words());
            return;
        }
        if self.is_told {
            if self.lines.len() == EVENTS_MAX {
                self.lines.pop_front();
            }
            self.lines.push_back(format!("{:>12.6} {}", now_us as f64 / 1e6, words()));
        }
    }

    pub fn lines(&self) -> impl Iterator<Item = &String> {
        self.lines.iter()
    }
}
