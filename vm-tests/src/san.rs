//! A storage network: Debian's tgtd, which serves raw files as SCSI disks with persistent reservations. Every guest
//! attaches as an initiator of its own, named after it. It listens on loopback only, and several run side by side: each
//! has its own port and its own control socket.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cord::Cord;
use crate::disk::{Disk, Lun};
use crate::limits::Limit;
use crate::parts::Parts;
use crate::trouble::Trouble;

/// The name of the target that has all the disks.
const TARGET: &str = "iqn.2026-01.test.evms:san";
/// Until it says that it serves.
const READY: Limit = Limit::seconds("start of the SAN", 30);
/// Another process may take the port before the SAN does.
const ATTEMPTS_MAX: usize = 5;
/// The first is the target's own.
const FIRST_LUN: usize = 1;

/// The running SAN. It ends with the scene, or with the test.
#[derive(Debug)]
pub struct San {
    _cord: Cord,
    parts: Parts,
    control: PathBuf,
    portal: String,
    disks: Vec<Disk>,
}

impl San {
    /// Starts it, its files in `folder`, with these disks.
    pub(crate) fn start(parts: &Parts, folder: &Path, disks: &[&Disk]) -> Result<Self, Trouble> {
        let mut attempt = 0;
        let (cord, portal) = loop {
            attempt += 1;
            match serve(parts, folder) {
                Err(_) if attempt < ATTEMPTS_MAX => {}
                served => break served?,
            }
        };
        let mut san =
            Self { _cord: cord, parts: parts.clone(), control: control(folder), portal, disks: Vec::new() };
        san.ask(&["--op", "new", "--mode", "target", "--tid", "1", "--targetname", TARGET])?;
        for (number, disk) in (FIRST_LUN..).zip(disks) {
            san.serve_disk(number, disk)?;
        }
        san.ask(&["--op", "bind", "--mode", "target", "--tid", "1", "--initiator-address", "127.0.0.1"])?;
        Ok(san)
    }

    fn serve_disk(&mut self, number: usize, disk: &Disk) -> Result<(), Trouble> {
        let (lun, path) = (number.to_string(), disk.path().display().to_string());
        let unit = ["--mode", "logicalunit", "--tid", "1", "--lun", &lun];
        self.ask(&[&["--op", "new"], &unit[..], &["--backing-store", &path, "--bstype", "rdwr"]].concat())?;
        let params = format!("scsi_sn={},vendor_id=EVMS,product_id=SAN", disk.serial());
        self.ask(&[&["--op", "update"], &unit[..], &["--params", &params]].concat())?;
        self.disks.push(disk.clone().over_iscsi(Lun {
            portal: self.portal.clone(),
            target: TARGET.into(),
            number,
        }));
        Ok(())
    }

    /// The disks as guests reach them through the SAN.
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// Who is attached, and to what, as the SAN tells it.
    pub fn show(&self) -> Result<String, Trouble> {
        self.ask(&["--op", "show", "--mode", "target"])
    }

    fn ask(&self, words: &[&str]) -> Result<String, Trouble> {
        let mut command = Command::new(self.parts.fetched("usr/sbin/tgtadm")?);
        command.env("TGT_IPC_SOCKET", &self.control).env("LD_LIBRARY_PATH", &self.parts.libraries);
        command.args(["--lld", "iscsi"]).args(words);
        let said = command.output().map_err(Trouble::io("asking the SAN"))?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        let words = words.join(" ");
        Err(Trouble::Unexpected(format!("the SAN to {words}: {}", String::from_utf8_lossy(&said.stderr))))
    }
}

fn control(folder: &Path) -> PathBuf {
    folder.join("san")
}

/// It says that it is ready as a service says it: with a datagram. An end before that leaves the limit.
fn serve(parts: &Parts, folder: &Path) -> Result<(Cord, String), Trouble> {
    let notices = folder.join("san.ready");
    if notices.exists() {
        fs::remove_file(&notices).map_err(Trouble::file("clearing", &notices))?;
    }
    let ready = UnixDatagram::bind(&notices).map_err(Trouble::file("listening at", &notices))?;
    ready.set_read_timeout(Some(READY.here())).map_err(Trouble::io("limiting the wait for the SAN"))?;
    let portal = free_port()?;
    let log = folder.join("san.log");
    let log = fs::File::create(&log).map_err(Trouble::file("making the log", &log))?;
    let mut command = Command::new(parts.fetched("usr/sbin/tgtd")?);
    command.args(["-f", "--iscsi", &format!("portal={portal}")]);
    command.env("TGT_IPC_SOCKET", control(folder)).env("LD_LIBRARY_PATH", &parts.libraries);
    command.env("NOTIFY_SOCKET", &notices);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
    let cord = Cord::plug(command)?;
    let mut said = [0; 256];
    match ready.recv(&mut said) {
        Ok(count) if said[..count].starts_with(b"READY=1") => Ok((cord, portal)),
        Ok(count) => Err(Trouble::Unexpected(String::from_utf8_lossy(&said[..count]).into_owned())),
        Err(source) => Err(Trouble::Io { doing: "waiting for the SAN".into(), source }),
    }
}

/// One that nobody uses at this moment.
pub(crate) fn free_port() -> Result<String, Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Trouble::io("looking for a free port"))?;
    Ok(listener.local_addr().map_err(Trouble::io("reading the port"))?.to_string())
}
