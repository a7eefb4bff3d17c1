//! How frames come and go between a network's switch and a machine's card, for each kind of machine.
//!
//! An emulator connects to a socket, over which frames go both ways with their length before them. A kernel that is a process
//! speaks as it would to `uml_switch`: it connects to a socket and names its own one for datagrams, is told another one for
//! datagrams, and from then on a datagram is a frame. What was connected stays so while the machine is on.

use std::io::{self, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::trouble::Trouble;

/// No frame of a card is longer, the emulator says.
const FRAME_BYTES_MAX: usize = 68 << 10;
/// What the kernel says first: these two numbers, what it wants, and the address of its socket.
const MAGIC: u32 = 0xfeed_face;
const VERSION: u32 = 3;
const HEAD_BYTES: usize = 12;
/// An address of a Unix socket: its family, and a path filled up with zeroes; one that begins with a zero is no path.
const FAMILY: u16 = 1;
const PATH_BYTES: usize = 108;
const ADDRESS_BYTES: usize = 2 + PATH_BYTES;
/// The request ends where its words of four bytes do.
const REQUEST_BYTES: usize = (HEAD_BYTES + ADDRESS_BYTES).next_multiple_of(4);

/// Hands a machine one frame; waits while it takes none.
pub(crate) type Out = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;

/// Takes what it sends, frame by frame, until it is off.
pub(crate) type TakeIn = Box<dyn FnOnce(&dyn Fn(&[u8])) + Send>;

/// A machine that is on, as its card's end of the wire is known here.
pub(crate) struct Wire {
    /// To the machine.
    pub(crate) out: Out,
    /// From the machine.
    pub(crate) take_in: TakeIn,
}

/// Whoever connects is an emulator.
pub(crate) fn to_emulator(line: UnixStream) -> io::Result<Wire> {
    let mut out = line.try_clone()?;
    Ok(Wire {
        out: Box::new(move |frame| {
            let length = (frame.len() as u32).to_be_bytes();
            out.write_all(&[&length[..], frame].concat())
        }),
        take_in: Box::new(move |handle| {
            let mut line = BufReader::new(line);
            while let Ok(frame) = next_frame(&mut line) {
                handle(&frame);
            }
        }),
    })
}

fn next_frame(line: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    line.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no frame is as long"));
    }
    let mut frame = vec![0; length];
    line.read_exact(&mut frame)?;
    Ok(frame)
}

/// The socket to which a kernel that is a process sends its frames, over all its boots.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    socket: Arc<UnixDatagram>,
    path: PathBuf,
}

impl Inbox {
    /// At this place.
    pub(crate) fn at(path: &Path) -> Result<Self, Trouble> {
        let socket = UnixDatagram::bind(path).map_err(Trouble::file("listening at", path))?;
        Ok(Self { socket: Arc::new(socket), path: path.into() })
    }

    /// Takes every frame that comes, for good.
    pub(crate) fn take_in(&self, handle: impl Fn(&[u8])) {
        let mut frame = vec![0; FRAME_BYTES_MAX];
        while let Ok(length) = self.socket.recv(&mut frame) {
            handle(&frame[..length]);
        }
    }

    /// Whoever connects is such a kernel. Its frames come in elsewhere: here only its end is waited for.
    pub(crate) fn to_kernel(&self, mut line: UnixStream) -> io::Result<Wire> {
        let mut request = [0; REQUEST_BYTES];
        line.read_exact(&mut request)?;
        let card = address_of(&request)?;
        line.write_all(&address_bytes(&self.path)?)?;
        let socket = Arc::clone(&self.socket);
        Ok(Wire {
            out: Box::new(move |frame| socket.send_to_addr(frame, &card).map(drop)),
            take_in: Box::new(move |_| while line.read(&mut [0]).is_ok_and(|count| count > 0) {}),
        })
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The kernel's socket has a name that is no path, and all its bytes count.
fn address_of(request: &[u8; REQUEST_BYTES]) -> io::Result<SocketAddr> {
    let word = |at: usize| [request[at], request[at + 1], request[at + 2], request[at + 3]];
    if u32::from_ne_bytes(word(0)) != MAGIC || u32::from_ne_bytes(word(4)) != VERSION {
        return Err(invalid("it does not speak as to uml_switch"));
    }
    let path = &request[HEAD_BYTES + 2..][..PATH_BYTES];
    match path.split_first() {
        Some((0, name)) => SocketAddr::from_abstract_name(name),
        _ => Err(invalid("its socket has a path")),
    }
}

fn address_bytes(path: &Path) -> io::Result<[u8; ADDRESS_BYTES]> {
    let path = path.as_os_str().as_encoded_bytes();
    let mut bytes = [0; ADDRESS_BYTES];
    bytes[..2].copy_from_slice(&FAMILY.to_ne_bytes());
    // One zero stands behind it.
    let place = bytes[2..ADDRESS_BYTES - 1].get_mut(..path.len()).ok_or_else(|| invalid("it is too long"))?;
    place.copy_from_slice(path);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_an_emulator_come_whole_and_a_long_one_ends_it() {
        let mut line = &b"\0\0\0\x02ab\0\0\0\0\xff\0\0\0"[..];
        assert_eq!(next_frame(&mut line).unwrap(), b"ab");
        assert_eq!(next_frame(&mut line).unwrap(), b"");
        assert_eq!(next_frame(&mut line).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_kernel_is_told_where_to_send_and_hears_what_is_sent_to_it() {
        let folder = std::env::temp_dir().join(format!("vm-tests-wire-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("inbox");
        let inbox = Inbox::at(&path).unwrap();
        let mut name = [7; PATH_BYTES - 1];
        name[..4].copy_from_slice(&std::process::id().to_ne_bytes());
        let card = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();

        let (mut near, far) = UnixStream::pair().unwrap();
        let mut request = [MAGIC.to_ne_bytes(), VERSION.to_ne_bytes(), [0; 4]].concat();
        request.extend(FAMILY.to_ne_bytes());
        request.push(0);
        request.extend(name);
        request.resize(REQUEST_BYTES, 0);
        near.write_all(&request).unwrap();
        let mut wire = inbox.to_kernel(far).unwrap();
        let mut told = [0; ADDRESS_BYTES];
        near.read_exact(&mut told).unwrap();
        assert!(told[2..].starts_with(path.as_os_str().as_encoded_bytes()));

        (wire.out)(b"for the card").unwrap();
        let mut frame = [0; 100];
        assert_eq!(card.recv(&mut frame).unwrap(), b"for the card".len());
        card.send_to(b"of the card", &path).unwrap();
        assert_eq!(inbox.socket.recv(&mut frame).unwrap(), b"of the card".len());
        drop(near);
        (wire.take_in)(&|_| ());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn who_speaks_otherwise_is_refused() {
        assert!(address_of(&[0; REQUEST_BYTES]).is_err());
        assert!(address_bytes(Path::new(&"x".repeat(PATH_BYTES))).is_err());
        assert!(address_bytes(Path::new(&"x".repeat(PATH_BYTES - 1))).is_ok());
    }
}
