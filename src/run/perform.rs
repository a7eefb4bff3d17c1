//! Carrying out what a machine without hands asks for: reads, writes and flushes on real disks, each write under a
//! permit that is compared before it begins. A dry run is the same machine over the same disks with every write kept
//! in memory: what it prints is what would be written, to the sector.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::sorted::sort;
use crate::base::units::{BLOCK_BYTES, Bytes, MIB, SECTOR_BYTES};
use crate::cluster::timing::Timing;
use crate::engine::guard::{Lease, NoPermit, Permit};
use crate::host::clock;
use crate::host::disk::{Medium, OpenDisk};
use crate::host::disk_error::DiskError;
use crate::run::failure::RunError;
use crate::volume::commit::io::{Answer, Ask, Op, Purpose};

/// How long a first claim of a node block is left to show a rival (two disk beats, safety 2.8 and 6).
pub const CLAIM_WAIT_MS: u64 = 2000;

/// Between two looks whether the lease is proven anew, which is so a beat later and what an answer takes.
const PROOF_LOOK: Duration = Duration::from_millis(10);

/// The same where another machine is at it.
const GIVEN_WAY_TOLD_MS: u64 = 1000;

/// Milliseconds after which somebody should know what is waited for.
const PROOF_TOLD_MS: u64 = 500;

/// One write of a dry run or of a report: what is written where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// Which lane.
    pub lane: usize,
    /// First sector.
    pub sector: u64,
    /// How many sectors.
    pub sectors: u64,
    /// Why.
    pub purpose: Purpose,
}

/// Do it, or only say what would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Write.
    Real,
    /// Write nothing, keep what would be written.
    Dry,
}

/// The disks of one change, by lane, and what happened on them.
pub struct Hands<'a> {
    disks: Vec<&'a OpenDisk>,
    mode: Mode,
    kept: BTreeMap<(usize, u64), [u8; BLOCK_BYTES as usize]>,
    /// What was written, or would be.
    pub written: Vec<Written>,
    /// What went wrong, by lane.
    pub errors: Vec<(usize, DiskError)>,
    /// The first write that no permit covered: none behind it was made either, though a lease came back meanwhile.
    pub denied: Option<NoPermit>,
    /// Was a write of a model begun? It may stand, whatever was answered.
    pub tried: bool,
    /// Milliseconds for which another machine's block is watched that has this node's number (T_take).
    pub still_ms: u64,
    /// By which this node acts for its cluster.
    pub lease: Option<Lease>,
    /// Told what is waited for.
    pub tell: Option<fn(&str)>,
    /// Told how many bytes were written so far, each MiB once.
    pub progress: Option<fn(u64)>,
    told_mib: u64,
    /// Milliseconds for which others were waited for.
    given_way_ms: u64,
}

impl<'a> Hands<'a> {
    /// Hands on these disks, in the order of the lanes.
    pub fn new(disks: Vec<&'a OpenDisk>, mode: Mode) -> Hands<'a> {
        Hands {
            disks,
            mode,
            kept: BTreeMap::new(),
            written: Vec::new(),
            errors: Vec::new(),
            denied: None,
            tried: false,
            still_ms: Timing::default().take_ms(),
            lease: None,
            tell: None,
            progress: None,
            told_mib: 0,
            given_way_ms: 0,
        }
    }

    /// Carries out what was asked. Disks work side by side when they are devices: a slow one delays nobody's answer
    /// but its own within one batch.
    pub fn carry_out(&mut self, asks: &[Ask], permit: Option<Permit>) -> Vec<(usize, Answer)> {
        let allowed = asks.iter().map(|ask| self.permitted(ask, permit)).collect::<Vec<_>>();
        let devices = self.disks.iter().any(|disk| disk.medium() == Medium::BlockDevice);
        let results = if devices && self.mode == Mode::Real && asks.len() > 1 {
            self.side_by_side(asks, &allowed)
        } else {
            asks.iter().zip(&allowed).map(|(ask, allowed)| self.one(ask, *allowed)).collect()
        };
        let mut answers = Vec::new();
        for (ask, result) in asks.iter().zip(results) {
            let answer = result.unwrap_or_else(|error| {
                self.errors.extend(error.map(|error| (ask.lane, error)));
                Answer::Failed
            });
            self.note(ask, &answer);
            answers.push((ask.lane, answer));
        }
        if let (Some(progress), Mode::Real) = (self.progress, self.mode) {
            let bytes = self.written.iter().map(|written| written.sectors * SECTOR_BYTES).sum::<u64>();
            // A line on a slow console only when it says something new.
            if bytes / MIB != self.told_mib {
                self.told_mib = bytes / MIB;
                progress(bytes);
            }
        }
        answers
    }

    /// What is said of a change that lost its permit on its way.
    pub fn stopped(&self, name: &str) -> RunError {
        // Only what is denied is asked here.
        let why = self.denied.unwrap_or(NoPermit::OutOfScope(Purpose::Slot));
        RunError::Stopped { name: name.into(), why, in_doubt: self.tried }
    }

    /// Why not all of it was done: what was denied, or what a disk said first.
    pub fn failure(&self, name: &str) -> Option<RunError> {
        match (self.denied, self.errors.first()) {
            (Some(_), _) => Some(self.stopped(name)),
            (None, Some((_, error))) => Some(RunError::Disk(error.clone())),
            (None, None) => None,
        }
    }

    fn permitted(&mut self, ask: &Ask, permit: Option<Permit>) -> bool {
        let Op::Write { purpose, .. } = &ask.op else { return true };
        let Some(permit) = permit.filter(|_| self.denied.is_none()) else { return false };
        match permit.allows(*purpose, clock::boot_now()) {
            Ok(()) => {
                self.tried |= *purpose == Purpose::Slot;
                true
            }
            Err(denied) => {
                self.denied = Some(denied);
                false
            }
        }
    }

    fn side_by_side(&self, asks: &[Ask], allowed: &[bool]) -> Vec<Result<Answer, Option<DiskError>>> {
        std::thread::scope(|scope| {
            let lanes = asks.iter().zip(allowed);
            let hands = lanes
                .map(|(ask, allowed)| scope.spawn(move || real(self.disks.get(ask.lane), &ask.op, *allowed)));
            let hands = hands.collect::<Vec<_>>();
            hands.into_iter().map(|hand| hand.join().unwrap_or(Err(None))).collect()
        })
    }

    fn one(&mut self, ask: &Ask, allowed: bool) -> Result<Answer, Option<DiskError>> {
        match self.mode {
            Mode::Real => real(self.disks.get(ask.lane), &ask.op, allowed),
            Mode::Dry => self.dry(ask, allowed),
        }
    }

    fn dry(&mut self, ask: &Ask, allowed: bool) -> Result<Answer, Option<DiskError>> {
        match &ask.op {
            Op::Write { .. } if !allowed => Err(None),
            Op::Write { at, bytes, .. } => {
                for (place, chunk) in bytes.chunks_exact(BLOCK_BYTES as usize).enumerate() {
                    if let Ok(block) = chunk.try_into() {
                        self.kept.insert((ask.lane, at.0 / BLOCK_BYTES + place as u64), block);
                    }
                }
                Ok(Answer::Done)
            }
            Op::Flush => Ok(Answer::Done),
            op => {
                let Answer::Read(mut bytes) = real(self.disks.get(ask.lane), op, true)? else {
                    return Err(None);
                };
                if let Op::Read { at, .. } = op {
                    self.overlay(ask.lane, *at, &mut bytes);
                }
                Ok(Answer::Read(bytes))
            }
        }
    }

    fn overlay(&self, lane: usize, at: Bytes, bytes: &mut [u8]) {
        for (place, chunk) in bytes.chunks_exact_mut(BLOCK_BYTES as usize).enumerate() {
            if let Some(block) = self.kept.get(&(lane, at.0 / BLOCK_BYTES + place as u64)) {
                chunk.copy_from_slice(block);
            }
        }
    }

    fn note(&mut self, ask: &Ask, answer: &Answer) {
        if let (Op::Write { at, bytes, purpose }, Answer::Done) = (&ask.op, answer) {
            let (sector, sectors) = (at.0 / SECTOR_BYTES, bytes.len() as u64 / SECTOR_BYTES);
            self.written.push(Written { lane: ask.lane, sector, sectors, purpose: *purpose });
        }
    }

    /// Waits out the first claim of a node block, on devices; an image file is locked and has no rivals.
    pub fn pause(&self) {
        self.let_pass(CLAIM_WAIT_MS);
    }

    /// Lets somebody else come to an end; says so once where that takes long.
    pub fn give_way(&mut self, ms: u64) {
        self.given_way_ms += ms;
        let is_long = self.given_way_ms >= GIVEN_WAY_TOLD_MS && self.given_way_ms < GIVEN_WAY_TOLD_MS + ms;
        if let (Some(tell), true, true) = (self.tell, is_long, self.waits()) {
            tell(
                "another machine seems to be changing this container: it is waited for, some seconds at most",
            );
        }
        self.let_pass(ms);
    }

    /// Waits out who may live still and has this node's number.
    pub fn watch(&self) {
        if let (Some(tell), true) = (self.tell, self.waits()) {
            tell(&format!(
                "another machine wrote on these disks as the node of this one's number: they are watched for {} s, whether it goes on",
                self.still_ms.div_ceil(1000)
            ));
        }
        self.let_pass(self.still_ms);
    }

    /// Waits until it is proven that this node was quorate by its lease when all was done that was done so far. False where that is over:
    /// then nothing follows, whatever the clock says.
    pub fn await_proof(&mut self) -> bool {
        let Some(lease) = self.lease.filter(|_| self.waits()) else { return true };
        let tell = self.tell;
        let slow = || {
            if let Some(tell) = tell {
                tell(
                    "it is waited until the other nodes, or the arbitration disks, confirm that this node is quorate",
                );
            }
        };
        let is_proven = await_proof(lease, slow);
        if !is_proven {
            self.denied = Some(NoPermit::Expired { end: lease.end(), now: clock::boot_now() });
        }
        is_proven
    }

    fn waits(&self) -> bool {
        let devices = self.disks.iter().any(|disk| disk.medium() == Medium::BlockDevice);
        devices && self.mode == Mode::Real
    }

    fn let_pass(&self, ms: u64) {
        if self.waits() {
            std::thread::sleep(Duration::from_millis(ms));
        }
    }

    /// Was anything written?
    pub fn touched(&self) -> bool {
        self.mode == Mode::Real && !self.written.is_empty()
    }

    /// What was written, neighbours of one purpose joined, in the order of disks and sectors.
    pub fn ranges(&self) -> Vec<Written> {
        let mut sorted = self.written.clone();
        sort(&mut sorted);
        sorted.dedup();
        let mut ranges: Vec<Written> = Vec::new();
        for written in sorted {
            match ranges.last_mut() {
                Some(last)
                    if last.lane == written.lane
                        && last.purpose == written.purpose
                        && written.sector <= last.sector + last.sectors =>
                {
                    last.sectors = last.sectors.max(written.sector + written.sectors - last.sector);
                }
                _ => ranges.push(written),
            }
        }
        ranges
    }
}

/// Waits until it is proven that this node was quorate by this lease later than now, or that is over; is it proven? `slow` is called once
/// where it takes long.
pub fn await_proof(lease: Lease, slow: impl Fn()) -> bool {
    let done = clock::boot_now();
    let mut is_told = false;
    while lease.proven() <= done {
        let now = clock::boot_now();
        if lease.end() <= now {
            return false;
        }
        if !is_told && now >= done.plus_ms(PROOF_TOLD_MS) {
            is_told = true;
            slow();
        }
        std::thread::sleep(PROOF_LOOK);
    }
    true
}

fn real(disk: Option<&&OpenDisk>, op: &Op, allowed: bool) -> Result<Answer, Option<DiskError>> {
    let Some(disk) = disk else { return Err(None) };
    match op {
        Op::Read { at, length } => disk.read(*at, *length as usize).map(Answer::Read),
        Op::Write { .. } if !allowed => return Err(None),
        Op::Write { at, bytes, .. } => disk.write(*at, bytes).map(|()| Answer::Done),
        Op::Flush => disk.flush().map(|()| Answer::Done),
        #[cfg(feature = "mistakes")]
        Op::BufferedRead { at, length } => disk.read(*at, *length as usize).map(Answer::Read),
    }
    .map_err(Some)
}
