//! Disks: raw files, and how a guest is to see them. The same disk may be given to several guests at once.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;

/// Where in the guest the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// `/dev/vdX`; knows its serial number.
    VirtioBlk,
    /// `/dev/sdX`; knows its serial number and a world-wide name, takes SCSI commands.
    VirtioScsi,
}

/// Sizes of the disk's sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sectors {
    /// 512 bytes, logical and physical.
    Plain512,
    /// 512 bytes to talk to, 4096 inside.
    Emulated512,
    /// 4096 bytes, logical and physical.
    Native4k,
}

impl Sectors {
    /// Bytes of a logical and of a physical sector.
    pub fn bytes(self) -> (u32, u32) {
        match self {
            Self::Plain512 => (512, 512),
            Self::Emulated512 => (512, 4096),
            Self::Native4k => (4096, 4096),
        }
    }
}

/// How writes reach the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Past the machine's page cache; a flush is a flush. The usual one.
    None,
    /// As `None`, and every write is flushed.
    DirectSync,
    /// Through the machine's page cache, for folders whose file system knows no direct writes.
    Writeback,
}

/// A disk of a storage network.
#[derive(Clone, Debug)]
pub(crate) struct Lun {
    /// Address and port.
    pub(crate) portal: String,
    pub(crate) target: String,
    pub(crate) number: usize,
}

/// How the emulator reaches the disk.
#[derive(Clone, Debug)]
enum Way {
    File,
    Nbd(PathBuf),
    Iscsi(Lun),
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
    way: Way,
    serial: String,
    /// Where guests see it.
    pub bus: Bus,
    /// Its sectors.
    pub sectors: Sectors,
    /// How writes reach the file.
    pub cache: Cache,
    /// Whether the guest sees a volatile write cache.
    pub write_cache: bool,
}

/// What stands before a guest's name in its name as an initiator.
const INITIATOR: &str = "iqn.2026-01.test.evms";
/// What a virtio disk has room for.
const SERIAL_BYTES_MAX: usize = 20;

impl Disk {
    /// Makes an empty disk of so many MiB. Its serial number is its name: the same in every run.
    pub fn create(folder: &Path, name: &str, size_mib: u64) -> Result<Self, Trouble> {
        assert!(name.len() <= SERIAL_BYTES_MAX, "a disk's name is its serial number");
        let path = folder.join(format!("{name}.img"));
        let file = File::create_new(&path).map_err(Trouble::file("making the disk", &path))?;
        file.set_len(size_mib << 20).map_err(Trouble::file("sizing the disk", &path))?;
        Ok(Self {
            path,
            way: Way::File,
            serial: name.into(),
            bus: Bus::VirtioBlk,
            sectors: Sectors::Plain512,
            cache: Cache::None,
            write_cache: true,
        })
    }

    /// The same file as a SCSI disk.
    #[must_use]
    pub fn scsi(mut self) -> Self {
        self.bus = Bus::VirtioScsi;
        self
    }

    /// The same file with sectors of other sizes.
    #[must_use]
    pub fn sectors(mut self, sectors: Sectors) -> Self {
        self.sectors = sectors;
        self
    }

    /// The same file, written to in another way.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// The same file, the guest being told that there is no volatile cache.
    #[must_use]
    pub fn without_write_cache(mut self) -> Self {
        self.write_cache = false;
        self
    }

    /// The same disk, reached through somebody who listens on a socket.
    #[must_use]
    pub(crate) fn behind(mut self, socket: &Path) -> Self {
        self.way = Way::Nbd(socket.into());
        self
    }

    /// The same disk, reached through a storage network; SCSI commands go there as they are.
    #[must_use]
    pub(crate) fn over_iscsi(mut self, lun: Lun) -> Self {
        self.bus = Bus::VirtioScsi;
        self.way = Way::Iscsi(lun);
        self
    }

    /// The raw file, for looking at it or damaging it from outside.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its serial number.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Its world-wide name, for SCSI: 64 bits made of the serial number, of the kind that a vendor gives by itself.
    pub fn wwn(&self) -> u64 {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let hash = self.serial.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        (hash >> 4) | (0x5 << 60)
    }

    /// The emulator's words for it: `number` tells the disks of one guest apart.
    pub(crate) fn words(&self, number: usize, guest: &str) -> [String; 4] {
        [
            "-blockdev".into(),
            self.node_words(number, guest),
            "-device".into(),
            match self.bus {
                Bus::VirtioBlk => self.virtio_words(number),
                Bus::VirtioScsi => self.scsi_words(number),
            },
        ]
    }

    /// The word for it of a kernel that is a process. `c`: others have it too; between the commas would be what it is a copy of.
    pub(crate) fn user_mode_word(&self, number: usize) -> Result<String, Trouble> {
        let is_plain = matches!(self.way, Way::File)
            && self.bus == Bus::VirtioBlk
            && self.sectors == Sectors::Plain512
            && self.write_cache;
        match is_plain {
            true => Ok(format!("ubd{number}c={},,{}", self.path.display(), self.serial)),
            false => {
                Err(Trouble::Unexpected(format!("{}: user-mode machines have plain files only", self.serial)))
            }
        }
    }

    fn node_words(&self, number: usize, guest: &str) -> String {
        match &self.way {
            Way::File => self.file_words(number),
            Way::Nbd(socket) => {
                let path = socket.display().to_string().replace(',', ",,");
                format!("driver=nbd,node-name=disk{number},server.type=unix,server.path={path}")
            }
            Way::Iscsi(Lun { portal, target, number: lun }) => format!(
                "driver=iscsi,node-name=disk{number},transport=tcp,portal={portal},target={target},lun={lun},\
                 initiator-name={INITIATOR}:{guest},cache.direct=on"
            ),
        }
    }

    /// `locking=off`: the emulator would refuse a second guest.
    fn file_words(&self, number: usize) -> String {
        let direct = if self.cache == Cache::Writeback { "off" } else { "on" };
        format!(
            "driver=raw,node-name=disk{number},cache.direct={direct},file.driver=file,file.locking=off,\
             file.cache.direct={direct},discard=unmap,file.filename={}",
            self.path.display().to_string().replace(',', ",,")
        )
    }

    fn virtio_words(&self, number: usize) -> String {
        format!("virtio-blk-pci,{}", self.shape_words(number))
    }

    fn scsi_words(&self, number: usize) -> String {
        if matches!(self.way, Way::Iscsi(_)) {
            return format!("scsi-block,bus=scsi.0,scsi-id={number},drive=disk{number},share-rw=on");
        }
        format!("scsi-hd,bus=scsi.0,scsi-id={number},wwn={:#x},{}", self.wwn(), self.shape_words(number))
    }

    fn shape_words(&self, number: usize) -> String {
        let (logical, physical) = self.sectors.bytes();
        let write_cache = self.write_cache && self.cache != Cache::DirectSync;
        format!(
            "drive=disk{number},serial={},logical_block_size={logical},physical_block_size={physical},\
             share-rw=on,write-cache={}",
            self.serial,
            if write_cache { "on" } else { "off" }
        )
    }
}
