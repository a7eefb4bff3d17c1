//! A guest comes up, carries the program under test and the device mapper, and goes down in good order.

use vm_tests::guest::Guest;
use vm_tests::scene;
use vm_tests::trouble::Trouble;
use vm_tests::{cases, modules};

/// Proves that the bench's own machine works: a kernel with an emulated processor, our init, our binary in it by all
/// its names, the modules that later tests stand on, and an orderly end that is seen as one.
#[test]
fn a_guest_boots_and_powers_off() {
    scene::play("boot", |scene| {
        let mut guest = scene.guest("one")?.start()?;
        eprintln!("  booted in {:.1} s", guest.boot_time().as_secs_f32());
        cases::run(
            &mut guest,
            &[
                ("evms_answers", evms_answers),
                ("the_device_mapper_is_there", the_device_mapper_is_there),
                ("modules_are_loaded", modules_are_loaded),
            ],
        )?;
        guest.power_off()
    });
}

/// The binary runs on the guest's kernel, and each name that it lists is a program of the image.
fn evms_answers(guest: &mut Guest) -> Result<(), Trouble> {
    let names = guest.ok("evms --list")?;
    assert!(names.lines().any(|name| name.trim() == "evmsd"), "{names}");
    for name in names.lines() {
        guest.ok(&format!("command -v {name}"))?;
    }
    Ok(())
}

/// The control node is where programs look for it, and the kernel has told the device mapper's version.
fn the_device_mapper_is_there(guest: &mut Guest) -> Result<(), Trouble> {
    guest.ok("test -c /dev/mapper/control")?;
    let version = guest.ok("dmesg | grep 'device-mapper: ioctl'")?;
    eprintln!("  {}", version.trim());
    assert!(version.contains("ioctl: 4."), "{version}");
    Ok(())
}

/// Every usual module is loaded, or built in: the faults of later tests are there when they are wanted.
fn modules_are_loaded(guest: &mut Guest) -> Result<(), Trouble> {
    for module in modules::USUAL {
        let name = module.replace('-', "_");
        guest.ok(&format!("test -d /sys/module/{name} || grep -qw {name} /proc/filesystems"))?;
    }
    Ok(())
}
