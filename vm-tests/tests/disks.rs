//! Disks are what the test asked for, keep what was flushed, and can be had by two guests at once.

use vm_tests::cases;
use vm_tests::disk::{Bus, Disk, Sectors};
use vm_tests::guest::Guest;
use vm_tests::scene;
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 16;

struct Bench {
    guest: Guest,
    disks: Vec<Disk>,
}

/// Proves that a guest sees every kind of disk as it was made: bus, sectors, size, serial number, world-wide name,
/// write cache.
#[test]
fn every_kind_of_disk_is_seen_as_it_was_made() {
    scene::play("disks-kinds", |scene| {
        let disk = |name, sectors| Ok::<_, Trouble>(scene.disk(name, SIZE_MIB)?.sectors(sectors));
        let disks = vec![
            disk("virtio-512", Sectors::Plain512)?,
            disk("virtio-512e", Sectors::Emulated512)?,
            disk("virtio-4kn", Sectors::Native4k)?.without_write_cache(),
            disk("scsi-512", Sectors::Plain512)?.scsi(),
            disk("scsi-512e", Sectors::Emulated512)?.scsi(),
            disk("scsi-4kn", Sectors::Native4k)?.scsi().without_write_cache(),
        ];
        let guest = scene.guest("one")?.disks(&disks).start()?;
        cases::run(
            &mut Bench { guest, disks },
            &[
                ("sectors_and_size", sectors_and_size),
                ("world_wide_names", world_wide_names),
                ("write_caches", write_caches),
                ("writes_land_in_the_file", writes_land_in_the_file),
            ],
        )
    });
}

fn queue(guest: &mut Guest, device: &str, what: &str) -> Result<String, Trouble> {
    let name = device.trim_start_matches("/dev/");
    Ok(guest.ok(&format!("cat /sys/block/{name}/{what}"))?.trim().to_string())
}

/// Found by serial number, each with the sectors and the bus that it was made with.
fn sectors_and_size(bench: &mut Bench) -> Result<(), Trouble> {
    for disk in &bench.disks {
        let guest = &mut bench.guest;
        let device = guest.device(disk)?;
        let prefix = if disk.bus == Bus::VirtioBlk { "/dev/vd" } else { "/dev/sd" };
        assert!(device.starts_with(prefix), "{device}");
        let (logical, physical) = disk.sectors.bytes();
        assert_eq!(
            queue(guest, &device, "queue/logical_block_size")?,
            logical.to_string(),
            "{}",
            disk.serial()
        );
        assert_eq!(
            queue(guest, &device, "queue/physical_block_size")?,
            physical.to_string(),
            "{}",
            disk.serial()
        );
        assert_eq!(queue(guest, &device, "size")?, (SIZE_MIB << 11).to_string());
    }
    Ok(())
}

/// A SCSI disk says the name that was made for it, so that two guests can agree which disk they mean.
fn world_wide_names(bench: &mut Bench) -> Result<(), Trouble> {
    for disk in bench.disks.iter().filter(|disk| disk.bus == Bus::VirtioScsi) {
        let device = bench.guest.device(disk)?;
        assert_eq!(queue(&mut bench.guest, &device, "device/wwid")?, format!("naa.{:016x}", disk.wwn()));
    }
    Ok(())
}

/// The guest knows whether it has to flush.
fn write_caches(bench: &mut Bench) -> Result<(), Trouble> {
    for disk in &bench.disks {
        let device = bench.guest.device(disk)?;
        let wanted = if disk.write_cache { "write back" } else { "write through" };
        assert_eq!(queue(&mut bench.guest, &device, "queue/write_cache")?, wanted, "{}", disk.serial());
    }
    Ok(())
}

/// Written in the guest past its cache, the bytes stand at the same place in the raw file.
fn writes_land_in_the_file(bench: &mut Bench) -> Result<(), Trouble> {
    for disk in &bench.disks {
        let device = bench.guest.device(disk)?;
        let text = disk.serial();
        bench.guest.ok(&format!(
            "{{ printf {text}; head -c 4096 /dev/zero; }} | head -c 4096 |
             dd of={device} bs=4096 seek=3 oflag=direct conv=fsync 2>&1"
        ))?;
        let bytes = std::fs::read(disk.path()).map_err(Trouble::file("reading", disk.path()))?;
        assert!(bytes[3 * 4096..].starts_with(text.as_bytes()), "{text}");
    }
    Ok(())
}

/// Proves that a flushed write outlives the machine: the cord is pulled right after, and the next boot reads it.
#[test]
fn a_synced_write_survives_a_power_cut() {
    scene::play("disks-power-cut", |scene| {
        let disks = [scene.disk("virtio", SIZE_MIB)?, scene.disk("scsi", SIZE_MIB)?.scsi()];
        let mut guest = scene.guest("one")?.disks(&disks).start()?;
        for disk in &disks {
            let device = guest.device(disk)?;
            guest.ok(&format!("echo kept on {} | dd of={device} conv=fsync,notrunc 2>&1", disk.serial()))?;
        }
        guest.cut_power()?;
        let mut guest = scene.guest("one")?.disks(&disks).start()?;
        for disk in &disks {
            let device = guest.device(disk)?;
            assert_eq!(guest.ok(&format!("head -n 1 {device}"))?, format!("kept on {}\n", disk.serial()));
        }
        Ok(())
    });
}

/// Proves that two running guests have the same disk: each reads at once what the other wrote past its cache, and both
/// know the disk by the same name.
#[test]
fn two_guests_share_one_disk() {
    scene::play("disks-shared", |scene| {
        let disk = scene.disk("shared", SIZE_MIB)?.scsi();
        let mut guests =
            [scene.guest("one")?.disk(&disk).power_on()?, scene.guest("two")?.disk(&disk).power_on()?];
        for guest in &mut guests {
            guest.wait_for_boot()?;
        }
        for round in 0..4 {
            let text = format!("round {round}");
            let device = guests[round % 2].device(&disk)?;
            guests[round % 2].ok(&format!(
                "{{ echo {text}; head -c 512 /dev/zero; }} | head -c 512 | dd of={device} bs=512 oflag=direct 2>&1"
            ))?;
            let device = guests[(round + 1) % 2].device(&disk)?;
            let read = format!("dd if={device} bs=512 count=1 iflag=direct 2>/dev/null | head -n 1");
            assert_eq!(guests[(round + 1) % 2].ok(&read)?, format!("{text}\n"));
        }
        Ok(())
    });
}
