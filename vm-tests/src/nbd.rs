//! The other end of a disk that the emulator reaches by NBD, as far as the emulator needs it: fixed newstyle, simple
//! replies (NBD's `doc/proto.md`).

use std::io::{self, ErrorKind, Read, Write};

const MAGIC_SERVER: &[u8; 8] = b"NBDMAGIC";
const MAGIC_OPTION: &[u8; 8] = b"IHAVEOPT";
const MAGIC_OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const MAGIC_REQUEST: u32 = 0x2560_9513;
const MAGIC_REPLY: u32 = 0x6744_6698;
/// Fixed newstyle, and no zeros after the handshake.
const HANDSHAKE_FLAGS: u16 = 1 | 2;
const OPTION_ABORT: u32 = 2;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 1 << 31 | 1;
const INFO_EXPORT: u16 = 0;
/// Has flags, takes flushes, takes FUA.
const EXPORT_FLAGS: u16 = 1 | 4 | 8;
/// Kind of a request: bytes are wanted.
pub const READ: u16 = 0;
/// Kind of a request: bytes are given.
pub const WRITE: u16 = 1;
/// Kind of a request: the machine goes in good order.
pub const DISCONNECT: u16 = 2;
/// Kind of a request: what was answered has to stay.
pub const FLUSH: u16 = 3;
const FLAG_FUA: u16 = 1;
/// The answer to what is not understood.
pub const ERROR_INVALID: u32 = 22;

/// No option, and no single request, is longer.
const OPTION_BYTES_MAX: u32 = 4096;
const REQUEST_BYTES_MAX: u32 = 32 << 20;
/// What the emulator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What kind of request.
    pub kind: u16,
    /// Has what is written to stay at once (FUA)?
    pub is_kept: bool,
    handle: [u8; 8],
    /// Where on the disk.
    pub at: u64,
    /// How many bytes.
    pub length: u32,
    /// What is written.
    pub data: Vec<u8>,
}

impl Request {
    /// Reads the next one; an error is also the end of the line.
    pub fn read(line: &mut impl Read) -> io::Result<Self> {
        let magic = u32::from_be_bytes(bytes(line)?);
        if magic != MAGIC_REQUEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "no request begins so"));
        }
        let flags = u16::from_be_bytes(bytes(line)?);
        let kind = u16::from_be_bytes(bytes(line)?);
        let handle = bytes(line)?;
        let at = u64::from_be_bytes(bytes(line)?);
        let length = u32::from_be_bytes(bytes(line)?);
        if length > REQUEST_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "longer than anything that is asked here"));
        }
        let data = if kind == WRITE { long(line, length, REQUEST_BYTES_MAX)? } else { Vec::new() };
        Ok(Self { kind, is_kept: flags & FLAG_FUA != 0, handle, at, length, data })
    }

    /// The answer to it.
    pub fn answer(&self, line: &mut impl Write, error: u32, data: &[u8]) -> io::Result<()> {
        let mut reply = MAGIC_REPLY.to_be_bytes().to_vec();
        reply.extend(error.to_be_bytes());
        reply.extend(self.handle);
        reply.extend(data);
        line.write_all(&reply)
    }
}

/// Until the emulator has chosen the one export there is. False when it thought better of it.
pub fn shake_hands(line: &mut (impl Read + Write), size: u64) -> io::Result<bool> {
    line.write_all(MAGIC_SERVER)?;
    line.write_all(MAGIC_OPTION)?;
    line.write_all(&HANDSHAKE_FLAGS.to_be_bytes())?;
    let _client_flags: [u8; 4] = bytes(line)?;
    loop {
        let _magic: [u8; 8] = bytes(line)?;
        let option = u32::from_be_bytes(bytes(line)?);
        let length = u32::from_be_bytes(bytes(line)?);
        long(line, length, OPTION_BYTES_MAX)?;
        match option {
            OPTION_GO => {
                let mut info = INFO_EXPORT.to_be_bytes().to_vec();
                info.extend(size.to_be_bytes());
                info.extend(EXPORT_FLAGS.to_be_bytes());
                reply(line, option, REPLY_INFO, &info)?;
                return reply(line, option, REPLY_ACK, &[]).map(|()| true);
            }
            OPTION_ABORT => return reply(line, option, REPLY_ACK, &[]).map(|()| false),
            _ => reply(line, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn reply(line: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut reply = MAGIC_OPTION_REPLY.to_be_bytes().to_vec();
    reply.extend(option.to_be_bytes());
    reply.extend(kind.to_be_bytes());
    reply.extend((data.len() as u32).to_be_bytes());
    reply.extend(data);
    line.write_all(&reply)
}

/// So many bytes of the line.
pub(crate) fn bytes<const N: usize>(line: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    line.read_exact(&mut bytes).map(|()| bytes)
}

fn long(line: &mut impl Read, length: u32, most: u32) -> io::Result<Vec<u8>> {
    if length > most {
        return Err(io::Error::new(ErrorKind::InvalidData, "longer than anything that is sent here"));
    }
    let mut bytes = vec![0; length as usize];
    line.read_exact(&mut bytes).map(|()| bytes)
}
