//! What writers say that they wrote, held against what stands on the blocks: think of ships' logs and the cargo that is found. Writers
//! of one part of a volume come one after another, each by its own name; each writes block after block, round and round, one at a time
//! (`guest/stamps.c`). From how far the last acknowledged write came follows what each block must have.

use std::fmt;

use crate::trouble::Trouble;

/// A machine that stood still with its clocks writes on for so long, by its own clock, when it goes on (safety T6, grade C): a beat of
/// the others, or a look at the clock on its board, and what closing takes under an emulator. `stopped` measures it.
pub const WRITES_ON_US: u64 = 800_000;

/// One that writes, or wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// By which its stamps are known; no two have the same.
    pub name: String,
    /// By which epoch it began.
    pub epoch: u64,
    /// So many of its writes came back.
    pub acked: u64,
    /// More of them may have: its machine took the log along.
    pub is_log_lost: bool,
    /// It did not end in good order, and so the next write may be there too, or a part of it.
    pub is_cut_short: bool,
    /// Its machine stood still with its clocks when so many of its writes had come back.
    pub slept_at: Option<u64>,
}

/// What one write left in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its writer.
    pub name: String,
    /// The writer's epoch.
    pub epoch: u64,
    /// Which write of that one.
    pub counter: u64,
    /// When it began, by its machine's clock.
    pub us: u64,
}

/// What stands in a block: of one write, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Counted from the beginning of the part.
    pub at: u64,
    /// Each write once.
    pub stamps: Vec<Stamp>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Laws broken, with values.
    pub broken: Vec<String>,
    /// Blocks that who stood still with its clocks wrote behind its successor.
    pub late_blocks: usize,
    /// Over so long, by its clock.
    pub late_us: u64,
}

impl Writer {
    /// One that begins.
    pub fn new(name: &str, epoch: u64) -> Self {
        let (name, slept_at) = (name.into(), None);
        Self { name, epoch, acked: 0, is_log_lost: false, is_cut_short: true, slept_at }
    }

    /// The last of its first `end` writes that went to the block.
    fn last_at(&self, at: u64, blocks: u64, end: u64) -> Option<u64> {
        let back = (end + blocks - at) % blocks;
        end.checked_sub(back).filter(|counter| *counter > 0)
    }

    /// Did it write this? Every stamp that stands and is no block's due has to be explained by a pause.
    fn is_of(&self, stamp: &Stamp) -> bool {
        self.name == stamp.name && self.epoch == stamp.epoch
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "write {} of {} by epoch {}", self.counter, self.name, self.epoch)
    }
}

/// The blocks that `stamps runs` tells of.
pub fn blocks(said: &str) -> Result<Vec<Block>, Trouble> {
    let mut all: Vec<Block> = Vec::new();
    for line in said.lines() {
        let strange = || Trouble::Unexpected(format!("stamps said '{line}'"));
        let words = line.split_whitespace().collect::<Vec<_>>();
        let number = |place: usize| -> Option<u64> { words.get(place)?.parse().ok() };
        let stamp = |place: usize| -> Option<Stamp> {
            let name = words.get(place)?.to_string();
            let (epoch, counter, us) = (number(place + 1)?, number(place + 2)?, number(place + 3)?);
            Some(Stamp { name, epoch, counter, us })
        };
        let at = number(0).ok_or_else(strange)?;
        if words.get(1) == Some(&"mixed") {
            let stamp = stamp(2).ok_or_else(strange)?;
            match all.last_mut().filter(|block| block.at == at) {
                Some(block) => block.stamps.push(stamp),
                None => all.push(Block { at, stamps: vec![stamp] }),
            }
            continue;
        }
        let (count, first, last_us) = (number(1), stamp(2), number(6));
        let (Some(count @ 1..), Some(first), Some(last_us)) = (count, first, last_us) else {
            return Err(strange());
        };
        for step in 0..count {
            let counter = if first.counter > 0 { first.counter + step } else { 0 };
            let us = if step + 1 == count { last_us } else { first.us };
            let stamp = Stamp { name: first.name.clone(), epoch: first.epoch, counter, us };
            all.push(Block { at: at + step, stamps: vec![stamp] });
        }
    }
    Ok(all)
}

/// Holds what stands in all blocks of a part against its writers, in their order, when nobody writes.
pub fn check(writers: &[Writer], seen: &[Block]) -> Findings {
    let writers = with_lost_logs(writers, seen);
    let count = seen.len() as u64;
    let (mut findings, mut late) = (Findings::default(), Vec::new());
    for (at, block) in (0..).zip(seen) {
        if block.at != at {
            findings.broken.push(format!("block {at} was not read"));
            return findings;
        }
        let due = due(&writers, at, count);
        for stamp in &block.stamps {
            let is_due = due.iter().any(|(w, counter)| w.is_of(stamp) && *counter == stamp.counter)
                || (due.iter().all(|(writer, counter)| *counter > writer.acked) && stamp.name == "nobody");
            match writers.iter().find(|writer| writer.is_of(stamp) && slept_before(writer, stamp)) {
                _ if is_due => {}
                Some(writer) => late.push((writer, stamp)),
                None => findings.broken.push(format!("block {at} has {stamp}; {}", in_words(&due))),
            }
        }
        let is_under_way = due.iter().any(|(writer, counter)| {
            *counter > writer.acked && block.stamps.iter().any(|stamp| writer.is_of(stamp))
        });
        let is_late = late.iter().any(|(_, stamp)| block.stamps.contains(stamp));
        if block.stamps.len() > 1 && !is_under_way && !is_late {
            let parts = block.stamps.iter().map(Stamp::to_string).collect::<Vec<_>>().join(", ");
            findings.broken.push(format!("block {at} is a mixture: {parts}; {}", in_words(&due)));
        }
    }
    judge_late(&late, &mut findings);
    findings
}

/// The same while the last writer goes on, who had overwritten all blocks by then: nobody else's stamps are there.
pub fn check_alone(writers: &[Writer], seen: &[Block]) -> Findings {
    let (mut findings, mut late) = (Findings::default(), Vec::new());
    let Some((present, others)) = writers.split_last() else { return findings };
    if present.acked < seen.len() as u64 {
        return findings;
    }
    let oldest = present.acked - seen.len() as u64;
    for block in seen {
        for stamp in &block.stamps {
            let is_due = present.is_of(stamp) && stamp.counter > oldest;
            match others.iter().find(|writer| writer.is_of(stamp) && slept_before(writer, stamp)) {
                _ if is_due => {}
                Some(writer) => late.push((writer, stamp)),
                None => findings.broken.push(format!(
                    "block {} has {stamp}, though write {} of {} had come back",
                    block.at, present.acked, present.name
                )),
            }
        }
    }
    judge_late(&late, &mut findings);
    findings
}

/// Epochs rise from writer to writer, and another node's is greater.
pub fn check_epochs(writers: &[Writer]) -> Vec<String> {
    let node = |writer: &Writer| writer.name.split('.').next().unwrap_or_default().to_string();
    let falls = |two: &&[Writer]| {
        two[1].epoch < two[0].epoch || (two[1].epoch == two[0].epoch && node(&two[0]) != node(&two[1]))
    };
    let words = |two: &[Writer]| {
        format!("{} began by epoch {} behind {} by {}", two[1].name, two[1].epoch, two[0].name, two[0].epoch)
    };
    writers.windows(2).filter(falls).map(words).collect()
}

/// Does a history (`evms history`) say these words of a node, in a line of a later epoch than this one?
pub fn is_told(history: &str, since: u64, words: &str, node: &str) -> bool {
    let epoch = |line: &str| {
        let (round, minter) = line.split_whitespace().nth(1)?.split_once('.')?;
        Some((round.parse::<u64>().ok()? << 16) | minter.parse::<u64>().ok()?)
    };
    let is_meant =
        |line: &str| line.contains(&format!("{words} {node} ")) || line.contains(&format!("{node} {words} "));
    history.lines().any(|line| epoch(line).is_some_and(|at| at > since) && is_meant(line))
}

/// What of a log that is gone can be told from what stands: all before the newest write that is there had come back.
fn with_lost_logs(writers: &[Writer], seen: &[Block]) -> Vec<Writer> {
    let newest = |writer: &Writer| {
        let stamps = seen.iter().flat_map(|block| &block.stamps).filter(|stamp| writer.is_of(stamp));
        stamps.map(|stamp| stamp.counter).max().unwrap_or_default()
    };
    let told = |writer: &Writer| {
        let acked = if writer.is_log_lost { newest(writer).saturating_sub(1) } else { 0 };
        Writer { acked: acked.max(writer.acked), ..writer.clone() }
    };
    writers.iter().map(told).collect()
}

/// What may stand in a block: the last write that came back, and any behind it that was under way when its writer was cut short.
fn due(writers: &[Writer], at: u64, blocks: u64) -> Vec<(&Writer, u64)> {
    let mut due = Vec::new();
    for writer in writers.iter().rev() {
        let next = writer.acked + 1;
        if writer.is_cut_short && next % blocks == at {
            due.push((writer, next));
        }
        if let Some(counter) = writer.last_at(at, blocks, writer.acked) {
            due.push((writer, counter));
            break;
        }
    }
    due
}

fn in_words(due: &[(&Writer, u64)]) -> String {
    let one = |(writer, counter): &(&Writer, u64)| {
        let how = if *counter > writer.acked { "under way" } else { "acknowledged" };
        format!("write {counter} of {} by epoch {} ({how})", writer.name, writer.epoch)
    };
    match due {
        [] => "nothing was written to it".into(),
        _ => format!("due is {}", due.iter().map(one).collect::<Vec<_>>().join(" or ")),
    }
}

fn slept_before(writer: &Writer, stamp: &Stamp) -> bool {
    writer.slept_at.is_some_and(|acked| stamp.counter > acked)
}

/// Who stood still may have written on for a moment, and no longer.
fn judge_late(late: &[(&Writer, &Stamp)], findings: &mut Findings) {
    findings.late_blocks = late.len();
    for (writer, _) in late {
        let moments = late.iter().filter(|(other, _)| other == writer).map(|(_, stamp)| stamp.us);
        let (first, last) = (moments.clone().min().unwrap_or_default(), moments.max().unwrap_or_default());
        findings.late_us = findings.late_us.max(last - first);
    }
    if findings.late_us > WRITES_ON_US {
        let name = late.first().map_or("", |(writer, _)| writer.name.as_str());
        let (count, us) = (late.len(), findings.late_us);
        findings.broken.push(format!("{name} stood still and wrote {count} blocks on, over {us} us"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKS: u64 = 8;

    fn writer(name: &str, epoch: u64, acked: u64) -> Writer {
        Writer { acked, ..Writer::new(name, epoch) }
    }

    /// What disks look like that do what they are told: all acknowledged writes, in their order.
    fn written(writers: &[Writer]) -> Vec<Block> {
        let nobody = Stamp { name: "nobody".into(), epoch: 0, counter: 0, us: 0 };
        let mut seen = (0..BLOCKS).map(|at| Block { at, stamps: vec![nobody.clone()] }).collect::<Vec<_>>();
        for writer in writers {
            for counter in 1..=writer.acked {
                seen[(counter % BLOCKS) as usize].stamps = vec![stamp(writer, counter)];
            }
        }
        seen
    }

    fn stamp(writer: &Writer, counter: u64) -> Stamp {
        Stamp { name: writer.name.clone(), epoch: writer.epoch, counter, us: counter * 1000 }
    }

    #[test]
    fn what_came_back_and_stands_is_well() {
        for last in 0..3 * BLOCKS {
            let writers = [writer("n1.1", 4, 11), writer("n2.2", 5, last)];
            assert_eq!(check(&writers, &written(&writers)), Findings::default(), "{last}");
        }
        assert_eq!(check(&[], &written(&[])), Findings::default());
    }

    /// The law of the single writer: what an old owner has on a block that its successor wrote.
    #[test]
    fn a_write_behind_a_takeover_is_found() {
        let writers = [writer("n1.1", 4, 11), writer("n2.2", 5, 20)];
        let mut seen = written(&writers);
        // Write 12 was under way, and lands late.
        seen[4].stamps = vec![stamp(&writers[0], 12)];
        let broken = check(&writers, &seen).broken;
        assert_eq!(
            broken,
            ["block 4 has write 12 of n1.1 by epoch 4; due is write 20 of n2.2 by epoch 5 (acknowledged)"]
        );
        assert_eq!(check_alone(&writers, &seen).broken.len(), 1);
        // A sector of it is as bad.
        seen[4].stamps = vec![stamp(&writers[1], 20), stamp(&writers[0], 12)];
        assert!(!check(&writers, &seen).broken.is_empty());
        assert!(!check_alone(&writers, &seen).broken.is_empty());
    }

    #[test]
    fn what_was_under_way_may_be_there_or_not_or_half() {
        let writers = [writer("n1.1", 4, 11), writer("n2.2", 5, 2)];
        let mut seen = written(&writers);
        for stamps in [
            vec![stamp(&writers[0], 12)],
            vec![stamp(&writers[0], 4)],
            vec![stamp(&writers[0], 12), stamp(&writers[0], 4)],
        ] {
            seen[4].stamps = stamps;
            assert_eq!(check(&writers, &seen), Findings::default(), "{seen:?}");
        }
        // Of one that ended in good order nothing was under way.
        let ended = [Writer { is_cut_short: false, ..writers[0].clone() }, writers[1].clone()];
        assert!(!check(&ended, &seen).broken.is_empty());
    }

    #[test]
    fn an_acknowledged_write_that_is_gone_is_found() {
        let writers = [writer("n1.1", 4, 19)];
        let mut seen = written(&writers);
        seen[2].stamps = vec![stamp(&writers[0], 10)];
        assert_eq!(check(&writers, &seen).broken.len(), 1, "an older one stands there");
        seen[2].stamps = vec![Stamp { name: "nobody".into(), epoch: 0, counter: 0, us: 0 }];
        assert_eq!(check(&writers, &seen).broken.len(), 1, "nothing stands there");
        seen[2].stamps = vec![stamp(&writers[0], 18), stamp(&writers[0], 10)];
        assert!(!check(&writers, &seen).broken.is_empty(), "a half of it stands there");
        seen.pop();
        seen.remove(2);
        assert!(!check(&writers, &seen).broken.is_empty(), "it was not read");
    }

    #[test]
    fn what_was_never_written_is_found() {
        let writers = [writer("n1.1", 4, 11)];
        let mut seen = written(&writers);
        seen[5].stamps = vec![stamp(&writers[0], 13)];
        assert_eq!(check(&writers, &seen).broken.len(), 1);
    }

    #[test]
    fn a_log_that_is_lost_is_told_from_the_blocks() {
        let whole = [writer("n1.1", 4, 19)];
        let mut seen = written(&whole);
        let lost = [Writer { is_log_lost: true, ..writer("n1.1", 4, 13) }];
        assert_eq!(check(&lost, &seen), Findings::default());
        // Write 18 is missing, though write 19 stands.
        seen[2].stamps = vec![stamp(&whole[0], 10)];
        assert!(!check(&lost, &seen).broken.is_empty());
        // Where the newest one is not there, nobody knows that it came back.
        seen = written(&whole);
        seen[3].stamps = vec![stamp(&whole[0], 11)];
        assert!(check(&lost, &seen).broken.is_empty());
        assert!(!check(&whole, &seen).broken.is_empty());
    }

    #[test]
    fn who_stood_still_with_its_clocks_writes_on_for_a_moment_only() {
        let slept = Writer { slept_at: Some(9), ..writer("n1.1", 4, 11) };
        let writers = [slept.clone(), writer("n2.2", 5, 20)];
        let mut seen = written(&writers);
        seen[4].stamps = vec![stamp(&slept, 12)];
        seen[3].stamps = vec![stamp(&slept, 11)];
        let findings = check(&writers, &seen);
        assert_eq!((findings.broken.len(), findings.late_blocks, findings.late_us), (0, 2, 1000));
        assert!(check_alone(&writers, &seen).broken.is_empty());
        // What it wrote before it stood still is no moment of its going on.
        seen[1].stamps = vec![stamp(&slept, 9)];
        assert_eq!(check(&writers, &seen).broken.len(), 1);
        seen[1].stamps = vec![stamp(&writers[1], 17)];
        seen[3].stamps[0].us = seen[4].stamps[0].us + WRITES_ON_US + 1;
        assert_eq!(check(&writers, &seen).broken.len(), 1);
        assert_eq!(check_alone(&writers, &seen).broken.len(), 1);
    }

    #[test]
    fn epochs_do_not_go_back() {
        let [one, again, two] = [writer("n1.1", 4, 0), writer("n1.2", 4, 0), writer("n2.3", 5, 0)];
        assert!(check_epochs(&[one.clone(), again.clone(), two.clone()]).is_empty());
        assert_eq!(check_epochs(&[two.clone(), one.clone()]).len(), 1);
        assert_eq!(check_epochs(&[one, writer("n3.2", 4, 0)]).len(), 1);
    }

    #[test]
    fn a_history_tells_who_was_taken_from_since_then() {
        let history = "GENERATION  EPOCH  WHEN  BY  CHANGE\n\
                       9  8.2  now  n2  taken over from n1 by its absence: it is gone\n\
                       8  7.1  now  n1  opening\n";
        let since = |round: u64| (round << 16) | 1;
        assert!(is_told(history, since(7), "taken over from", "n1"));
        assert!(is_told("9 8.2 n3 counted out by its absence", since(7), "counted out", "n3"));
        assert!(!is_told(history, since(7), "taken over from", "n2"));
        assert!(!is_told(history, since(9), "taken over from", "n1"));
    }

    #[test]
    fn runs_are_read_block_by_block() {
        let said = "0 1 n1.1 5 8 90 90\n1 mixed n1.1 5 1 10\n1 mixed n2 6 3 44\n2 3 n1.1 5 2 20 40\n5 2 nobody 0 0 0 0\n";
        let seen = blocks(said).unwrap();
        assert_eq!(seen.iter().map(|block| block.at).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(seen[1].stamps.len(), 2);
        assert_eq!(seen[4].stamps, [Stamp { name: "n1.1".into(), epoch: 5, counter: 4, us: 40 }]);
        assert_eq!(seen[6].stamps[0].counter, 0);
        assert!(blocks("0 0 n1.1 5 8 90 90\n").is_err() && blocks("nothing\n").is_err());
    }
}
