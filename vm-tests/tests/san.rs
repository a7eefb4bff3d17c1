//! A SAN with persistent reservations, from the guests' side: what fencing will stand on, and what it must not rely on.

use vm_tests::cases;
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::lio::{self, Lio};
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 16;
/// Until the kernel has told why a write failed.
const CONFLICT: Limit = Limit::seconds("the kernel's word", 30);
/// One key for each guest.
const KEYS: [u64; 3] = [0xa1, 0xa2, 0xa3];
/// `sg_persist` says so when the disk had something else to tell first (SPC-4: UNIT ATTENTION); it is to be asked again.
const ATTENTION: i32 = 6;
/// Its word for a command that the disk does not know (SPC-4: ILLEGAL REQUEST).
const ILLEGAL: i32 = 5;
const ATTENTIONS_MAX: usize = 3;
/// SPC-4, table of reservation types.
const REGISTRANTS_ONLY: u8 = 5;
const ALL_REGISTRANTS: u8 = 7;
/// The preempting guest, the fenced one, and one that stays registered.
const ONE: usize = 0;
const TWO: usize = 1;
const THREE: usize = 2;

struct Bench {
    guests: [Guest; 3],
    /// The disk's node in each guest.
    nodes: [String; 3],
    /// The disk as a raw file.
    disk: Disk,
    writes: usize,
    /// Who is attached, as the target tells it.
    initiators: String,
}

/// Proves T7 and T8 of the protocols' facts on tgtd, and that a guest is an initiator of its own.
#[test]
fn reservations_of_tgtd() {
    scene::play("san", |scene| {
        let disk = scene.disk("shared", SIZE_MIB)?;
        let san = scene.san(&[&disk])?;
        let mut bench = Bench::boot(scene, &disk, san.disks())?;
        bench.initiators = san.show()?;
        cases::run(
            &mut bench,
            &[
                ("each_guest_is_an_initiator", each_guest_is_an_initiator),
                ("a_fenced_guest_writes_no_more", a_fenced_guest_writes_no_more),
                ("type_5_goes_with_its_holder", type_5_goes_with_its_holder),
                ("type_7_stays_with_the_others", type_7_stays_with_the_others),
                ("what_tgtd_rejects", what_tgtd_rejects),
            ],
        )
    });
}

/// Proves the same facts on LIO, which takes what tgtd rejects.
#[test]
fn reservations_of_lio() {
    scene::play("san-lio", |scene| {
        let disk = scene.disk("shared", SIZE_MIB)?;
        let image = lio::MODULES.iter().fold(Image::usual(scene.parts())?, |image, name| image.module(name));
        let image = scene.image("target", image)?;
        let lio = Lio::start(scene.guest("target")?.image(&image), &[&disk])?;
        let mut bench = Bench::boot(scene, &disk, lio.disks())?;
        cases::run(
            &mut bench,
            &[
                ("a_fenced_guest_writes_no_more", a_fenced_guest_writes_no_more),
                ("type_5_goes_with_its_holder", type_5_goes_with_its_holder),
                ("type_7_stays_with_the_others", type_7_stays_with_the_others),
                ("what_lio_accepts", what_lio_accepts),
            ],
        )
    });
}

impl Bench {
    /// Three guests on the disk.
    fn boot(scene: &Scene, disk: &Disk, served: &[Disk]) -> Result<Self, Trouble> {
        let image = Image::usual(scene.parts())?.fetched_program(scene.parts(), "usr/bin/sg_persist")?;
        let image = scene.image("initiator", image)?;
        let plan = |name: &str| scene.guest(name)?.image(&image).disks(served).power_on();
        let mut guests = [plan("one")?, plan("two")?, plan("three")?];
        let mut nodes = [const { String::new() }; 3];
        for (guest, node) in guests.iter_mut().zip(&mut nodes) {
            guest.wait_for_boot()?;
            *node = guest.device(disk)?;
        }
        Ok(Self { guests, nodes, disk: disk.clone(), writes: 0, initiators: String::new() })
    }

    /// `sg_persist` with these words; its exit code and what it said.
    fn persist(&mut self, who: usize, words: &str) -> Result<(i32, String), Trouble> {
        let command = format!("sg_persist {words} {}", self.nodes[who]);
        for _ in 0..ATTENTIONS_MAX {
            let output = self.guests[who].run(&command)?;
            if output.code != ATTENTION {
                return Ok((output.code, output.text()));
            }
        }
        Err(Trouble::Unexpected(format!("'{command}' is told other things again and again")))
    }

    fn persist_ok(&mut self, who: usize, words: &str) -> Result<String, Trouble> {
        match self.persist(who, words)? {
            (0, said) => Ok(said),
            (code, output) => Err(Trouble::Code { command: words.into(), code, output }),
        }
    }

    /// Nobody is registered, nothing is reserved; then these are, and the first of them holds.
    fn reserve(&mut self, kind: u8, registered: &[usize]) -> Result<(), Trouble> {
        let key = KEYS[ONE];
        self.persist_ok(ONE, &format!("--out --register-ignore --param-sark={key:#x}"))?;
        self.persist_ok(ONE, &format!("--out --clear --param-rk={key:#x}"))?;
        assert!(self.keys(ONE)?.is_empty());
        for who in registered {
            self.persist_ok(*who, &format!("--out --register-ignore --param-sark={:#x}", KEYS[*who]))?;
        }
        let key = KEYS[registered[0]];
        self.persist_ok(registered[0], &format!("--out --reserve --param-rk={key:#x} --prout-type={kind}"))?;
        Ok(())
    }

    /// The preempting guest takes the fenced one's key away.
    fn fence(&mut self, kind: u8) -> Result<(), Trouble> {
        let (own, other) = (KEYS[ONE], KEYS[TWO]);
        let words =
            format!("--out --preempt --param-rk={own:#x} --param-sark={other:#x} --prout-type={kind}");
        self.persist_ok(ONE, &words).map(drop)
    }

    fn unregister(&mut self, who: usize) -> Result<(), Trouble> {
        self.persist_ok(who, &format!("--out --register --param-rk={:#x}", KEYS[who])).map(drop)
    }

    /// The registered keys as this guest is told.
    fn keys(&mut self, who: usize) -> Result<Vec<u64>, Trouble> {
        let said = self.persist_ok(who, "--in --read-keys")?;
        let mut keys: Vec<u64> = said
            .lines()
            .filter_map(|line| u64::from_str_radix(line.trim().strip_prefix("0x")?, 16).ok())
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// Does a write of this guest land? Said by its exit code and by the bytes in the raw file, which must agree.
    fn lands(&mut self, who: usize) -> Result<bool, Trouble> {
        self.writes += 1;
        let (text, node) = (format!("write {} of {who}", self.writes), &self.nodes[who]);
        let output = self.guests[who].run(&format!(
            "{{ printf '{text}'; head -c 512 /dev/zero; }} | head -c 512 |
             dd of={node} bs=512 oflag=direct conv=fsync,notrunc 2>&1"
        ))?;
        let path = self.disk.path();
        let bytes = std::fs::read(path).map_err(Trouble::file("reading", path))?;
        let is_there = bytes.starts_with(text.as_bytes());
        assert_eq!(output.code == 0, is_there, "{}", output.text());
        Ok(is_there)
    }
}

/// The SAN names all three, and each knows the disk by its serial number.
fn each_guest_is_an_initiator(bench: &mut Bench) -> Result<(), Trouble> {
    for guest in &bench.guests {
        let name = format!("Initiator: iqn.2026-01.test.evms:{} ", guest.name());
        let shown = &bench.initiators;
        assert_eq!(shown.matches(&name).count(), 1, "{shown}");
    }
    for who in [ONE, TWO, THREE] {
        assert!(bench.lands(who)?);
    }
    Ok(())
}

/// Registered guests write; one whose key was preempted does not, and its kernel says why; once it registers again,
/// which nothing prevents, it writes.
fn a_fenced_guest_writes_no_more(bench: &mut Bench) -> Result<(), Trouble> {
    bench.reserve(ALL_REGISTRANTS, &[ONE, TWO])?;
    assert_eq!(bench.keys(TWO)?, KEYS[..2]);
    assert!(bench.lands(ONE)? && bench.lands(TWO)?);
    assert!(!bench.lands(THREE)?, "it never registered");
    bench.fence(ALL_REGISTRANTS)?;
    assert_eq!(bench.keys(THREE)?, KEYS[..1], "reading is for all");
    assert!(!bench.lands(TWO)?);
    bench.guests[TWO].wait_for_kernel("reservation conflict", CONFLICT)?;
    assert!(bench.lands(ONE)?);
    bench.persist_ok(TWO, &format!("--out --register --param-sark={:#x}", KEYS[TWO]))?;
    assert!(bench.lands(TWO)?);
    Ok(())
}

/// T7: the holder unregisters in good order, a peer stays registered: the reservation is gone, the fenced guest's write
/// lands.
fn type_5_goes_with_its_holder(bench: &mut Bench) -> Result<(), Trouble> {
    bench.reserve(REGISTRANTS_ONLY, &[ONE, TWO, THREE])?;
    bench.fence(REGISTRANTS_ONLY)?;
    assert!(!bench.lands(TWO)?);
    bench.unregister(ONE)?;
    assert_eq!(bench.keys(THREE)?, KEYS[2..]);
    assert!(bench.lands(TWO)?, "the danger of this type");
    Ok(())
}

/// T7: the same with the type for all registrants: the peer still holds, the fenced guest's write does not land.
fn type_7_stays_with_the_others(bench: &mut Bench) -> Result<(), Trouble> {
    bench.reserve(ALL_REGISTRANTS, &[ONE, TWO, THREE])?;
    bench.fence(ALL_REGISTRANTS)?;
    assert!(!bench.lands(TWO)?);
    bench.unregister(ONE)?;
    assert!(!bench.lands(TWO)?);
    assert!(bench.lands(THREE)?);
    Ok(())
}

/// The first guest takes the second's key and its running commands away.
const ABORT: &str = "--out --preempt-abort --param-rk=0xa1 --param-sark=0xa2 --prout-type=7";
/// The third registers past a loss of power.
const LASTING: &str = "--out --register-ignore --param-sark=0xa3 --param-aptpl";

/// T8: no PREEMPT AND ABORT, no registrations that outlive a loss of power. Nothing has changed after either.
fn what_tgtd_rejects(bench: &mut Bench) -> Result<(), Trouble> {
    bench.reserve(ALL_REGISTRANTS, &[ONE, TWO])?;
    for (who, words) in [(ONE, ABORT), (THREE, LASTING)] {
        let (code, said) = bench.persist(who, words)?;
        assert_eq!(code, ILLEGAL, "{words}: {said}");
    }
    assert_eq!(bench.keys(ONE)?, KEYS[..2]);
    assert!(bench.lands(TWO)?);
    Ok(())
}

/// T8: both are taken, and do what they say.
fn what_lio_accepts(bench: &mut Bench) -> Result<(), Trouble> {
    bench.reserve(ALL_REGISTRANTS, &[ONE, TWO])?;
    bench.persist_ok(THREE, LASTING)?;
    assert_eq!(bench.keys(ONE)?, KEYS);
    bench.persist_ok(ONE, ABORT)?;
    assert_eq!(bench.keys(ONE)?, [KEYS[ONE], KEYS[THREE]]);
    assert!(!bench.lands(TWO)?);
    assert!(bench.lands(THREE)?);
    Ok(())
}
