//! A disk with a write cache that loses what it holds when the cord is pulled. Killing the emulator loses only what the
//! guest had not yet handed over; here also what was handed over and not flushed is lost, or is there in part, each
//! write by itself.
//!
//! The emulator reaches the disk by NBD over a socket. One connection is one time that the machine was on: it ends in
//! good order, or the cord was pulled.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::nbd::{self, Request};
use crate::trouble::Trouble;

/// So long a flush takes, as on a disk that turns: the cord may be pulled meanwhile.
const FLUSH_TIME: Duration = Duration::from_millis(20);
/// Where a write may tear.
const TEAR_BYTES: u64 = 4096;

/// What pulled cords cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Losses {
    /// So many times the cord was pulled.
    pub cuts: usize,
    /// Writes that were not flushed then.
    pub unflushed: usize,
    /// Of them, those lost.
    pub lost: usize,
    /// Of them, those that are there in part.
    pub torn: usize,
}

/// Counts the writes and flushes that arrive at the disks of a machine: a moment among them can be waited for, however
/// slow the machine is.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    shared: Arc<(Mutex<u64>, Condvar)>,
}

impl Pulse {
    /// So many arrived so far.
    pub fn count(&self) -> u64 {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many have arrived, or the limit is over.
    pub fn wait_for(&self, count: u64, limit: Duration) {
        let counted = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.shared.1.wait_timeout_while(counted, limit, |counted| *counted < count));
    }

    fn beat(&self) {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.shared.1.notify_all();
    }
}

/// The end of a disk that is outside the machine.
#[derive(Debug)]
pub struct Volatile {
    losses: Arc<Mutex<Losses>>,
}

impl Volatile {
    /// Lays a cache over a disk: give the guests the disk that is answered. The seed decides what is lost: disks of one
    /// machine have the same seed, so that there are cuts in which all of them lose everything, and numbers of their own.
    pub fn over(disk: &Disk, seed: u64, number: u64, pulse: &Pulse) -> Result<(Disk, Self), Trouble> {
        let socket: PathBuf = disk.path().with_extension("nbd");
        let listener = UnixListener::bind(&socket).map_err(Trouble::file("listening on", &socket))?;
        let file = File::options().read(true).write(true).open(disk.path());
        let file = file.map_err(Trouble::file("opening", disk.path()))?;
        let losses = Arc::new(Mutex::new(Losses::default()));
        let told = Arc::clone(&losses);
        let dice = Dice::new(seed ^ (number + 1) << 32);
        let mut cache =
            Cache { file, pending: VecDeque::new(), shared: Dice::new(seed), dice, pulse: pulse.clone() };
        thread::spawn(move || {
            for line in listener.incoming().flatten() {
                if serve(line, &mut cache).unwrap_or(End::Cut) == End::Cut {
                    let lost = cache.forget().unwrap_or_default();
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.cuts += 1;
                    told.unflushed += lost.unflushed;
                    told.lost += lost.lost;
                    told.torn += lost.torn;
                }
            }
        });
        Ok((disk.clone().behind(&socket), Self { losses }))
    }

    /// What pulled cords cost so far.
    pub fn losses(&self) -> Losses {
        *self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Orderly,
    Cut,
}

/// A write that the file does not have yet.
#[derive(Debug)]
struct Pending {
    at: u64,
    bytes: Vec<u8>,
    /// Durable when it was answered (FUA).
    is_kept: bool,
}

#[derive(Debug)]
struct Cache {
    file: File,
    pending: VecDeque<Pending>,
    /// What falls alike on all disks of a machine.
    shared: Dice,
    dice: Dice,
    pulse: Pulse,
}

impl Cache {
    fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        let end = at + length as u64;
        for write in &self.pending {
            let (from, to) = (write.at.max(at), (write.at + write.bytes.len() as u64).min(end));
            if from < to {
                let piece = &write.bytes[(from - write.at) as usize..(to - write.at) as usize];
                bytes[(from - at) as usize..(to - at) as usize].copy_from_slice(piece);
            }
        }
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(write) = self.pending.pop_front() {
            self.file.write_all_at(&write.bytes, write.at)?;
        }
        Ok(())
    }

    /// The cord was pulled. In half of the cuts all is lost, on every disk; else each write is lost, is there, or tears.
    fn forget(&mut self) -> io::Result<Losses> {
        let mut losses = Losses::default();
        let is_all_lost = self.shared.below(2) == 0;
        while let Some(write) = self.pending.pop_front() {
            if write.is_kept {
                self.file.write_all_at(&write.bytes, write.at)?;
                continue;
            }
            losses.unflushed += 1;
            match self.dice.below(3) {
                _ if is_all_lost => losses.lost += 1,
                0 => losses.lost += 1,
                1 => self.file.write_all_at(&write.bytes, write.at)?,
                _ => losses.torn += usize::from(self.tear(&write)?),
            }
        }
        Ok(losses)
    }

    /// Any of the pieces land. Answers whether some did and some did not.
    fn tear(&mut self, write: &Pending) -> io::Result<bool> {
        let (mut at, mut rest) = (write.at, write.bytes.as_slice());
        let (mut landed, mut lost) = (false, false);
        while !rest.is_empty() {
            let room = (TEAR_BYTES - at % TEAR_BYTES) as usize;
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            if self.dice.below(2) == 0 {
                self.file.write_all_at(piece, at)?;
                landed = true;
            } else {
                lost = true;
            }
            (at, rest) = (at + piece.len() as u64, behind);
        }
        Ok(landed && lost)
    }
}

/// One time that the machine is on.
fn serve(mut line: UnixStream, cache: &mut Cache) -> io::Result<End> {
    if !nbd::shake_hands(&mut line, cache.file.metadata()?.len())? {
        return Ok(End::Orderly);
    }
    let mut out = line.try_clone()?;
    let mut line = BufReader::new(line);
    loop {
        let request = Request::read(&mut line)?;
        let (mut error, mut answer) = (0, Vec::new());
        if [nbd::WRITE, nbd::FLUSH].contains(&request.kind) {
            cache.pulse.beat();
        }
        match request.kind {
            nbd::READ => answer = cache.read(request.at, request.length as usize)?,
            nbd::WRITE => {
                let (at, bytes, is_kept) = (request.at, request.data.clone(), request.is_kept);
                cache.pending.push_back(Pending { at, bytes, is_kept });
            }
            nbd::FLUSH if is_cut_within(&mut line, FLUSH_TIME)? => return Ok(End::Cut),
            nbd::FLUSH => cache.flush()?,
            nbd::DISCONNECT => return cache.flush().map(|()| End::Orderly),
            _ => error = nbd::ERROR_INVALID,
        }
        request.answer(&mut out, error, &answer)?;
    }
}

/// Does the other end go within so long? What it asks meanwhile waits.
fn is_cut_within(line: &mut BufReader<UnixStream>, time: Duration) -> io::Result<bool> {
    line.get_ref().set_read_timeout(Some(time))?;
    let is_cut = match line.fill_buf() {
        Ok(more) => more.is_empty(),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => return Err(error),
    };
    line.get_ref().set_read_timeout(None)?;
    Ok(is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbd::{DISCONNECT, FLUSH, READ, WRITE, bytes};
    use std::fs;
    use std::io::Write;

    /// A disk of 1 MiB in a folder of its own.
    fn disk(name: &str) -> (PathBuf, Disk) {
        let folder = std::env::temp_dir().join(format!("vm-tests-volatile-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let disk = Disk::create(&folder, "a", 1).unwrap();
        (folder, disk)
    }

    /// The emulator's part, as it speaks.
    fn connect(disk: &Disk) -> UnixStream {
        let mut line = UnixStream::connect(disk.path().with_extension("nbd")).unwrap();
        assert_eq!(&bytes::<16>(&mut line).unwrap(), b"NBDMAGICIHAVEOPT");
        assert_eq!(bytes(&mut line).unwrap(), [0, 3]);
        line.write_all(&3_u32.to_be_bytes()).unwrap();
        line.write_all(b"IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0").unwrap();
        let info: [u8; 32] = bytes(&mut line).unwrap();
        assert_eq!(info[22..30], (1_u64 << 20).to_be_bytes());
        bytes::<20>(&mut line).unwrap();
        line
    }

    fn ask(line: &mut UnixStream, kind: u16, at: u64, length: u32, data: &[u8]) {
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend([0, 0]);
        request.extend(kind.to_be_bytes());
        request.extend(*b"a handle");
        request.extend(at.to_be_bytes());
        request.extend(length.to_be_bytes());
        request.extend(data);
        line.write_all(&request).unwrap();
        if kind != DISCONNECT {
            assert_eq!(&bytes::<16>(line).unwrap(), b"\x67\x44\x66\x98\0\0\0\0a handle");
        }
    }

    /// Whatever is lost, what was flushed is not; and until then the machine reads what it wrote.
    #[test]
    fn flushed_writes_stay_and_others_may_go() {
        let (folder, disk) = disk("cut");
        let (disk, end) = Volatile::over(&disk, 5, 0, &Pulse::default()).unwrap();
        for round in 1..=20_u8 {
            let mut line = connect(&disk);
            ask(&mut line, WRITE, 4096, 4096, &[round; 4096]);
            ask(&mut line, FLUSH, 0, 0, &[]);
            ask(&mut line, WRITE, 8192, 8192, &[round; 8192]);
            ask(&mut line, READ, 8191, 2, &[]);
            assert_eq!(bytes(&mut line).unwrap(), [round, round]);
        }
        let mut line = connect(&disk);
        ask(&mut line, READ, 4096, 4096, &[]);
        assert_eq!(bytes(&mut line).unwrap(), [20; 4096]);
        let losses = end.losses();
        assert_eq!((losses.cuts, losses.unflushed), (20, 20));
        assert!(losses.lost > 3 && losses.torn > 0 && losses.lost + losses.torn < 20, "{losses:?}");
        fs::remove_dir_all(folder).unwrap();
    }

    /// A machine that goes in good order takes everything with it.
    #[test]
    fn nothing_is_lost_in_good_order() {
        let (folder, disk) = disk("order");
        let (disk, end) = Volatile::over(&disk, 5, 0, &Pulse::default()).unwrap();
        let mut line = connect(&disk);
        ask(&mut line, WRITE, 0, 4096, &[7; 4096]);
        ask(&mut line, DISCONNECT, 0, 0, &[]);
        drop(connect(&disk));
        assert_eq!(fs::read(disk.path()).unwrap()[..4096], [7; 4096]);
        assert_eq!(end.losses().unflushed, 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
