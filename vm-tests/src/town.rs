//! A cluster at the timings that it has unless somebody says otherwise, whose volumes are written all the time: a private container of
//! the first node and one that all share, with a stamping writer on each node's part.

use crate::claims;
use crate::cluster::QUORATE;
use crate::crew::{Machine, Yard};
use crate::kind::Kind;
use crate::scene::Scene;
use crate::stampers::Part;
use crate::task::{until_done, wait_until};
use crate::trial;
use crate::trouble::Trouble;

/// Its nodes.
pub const NAMES: [&str; 3] = ["n1", "n2", "n3"];
/// The private volume.
pub const HOME: &str = "/dev/evms/data/home";
/// The shared one.
pub const BOARD: &str = "/dev/evms/pool/board";
/// Blocks of the private volume that are written, and of each node's part of the shared one.
const BLOCKS: u64 = 256;
const BLOCKS_SHARED: u64 = 128;
/// No gate is anything but open.
pub const SETTLED: &str = "evms-fence status --json >/tmp/gates && ! grep -qE '\"state\":\"(closed|draining|unknown|refused|gone)\"' /tmp/gates";
/// The process that keeps the gates.
const KEEPER: &str =
    "for p in $(pidof evmsd); do tr '\\0' ' ' </proc/$p/cmdline | grep -q keeper && echo $p; done; true";
/// In which boot a machine is.
pub const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";

/// The cluster.
pub struct Town<'a> {
    /// What its machines are made of.
    pub yard: Yard<'a>,
    /// They.
    pub machines: [Machine; 3],
    /// Who writes to the private volume.
    pub private: Part,
    /// And to each node's part of the shared one.
    pub shared: [Part; 3],
    /// Of the next writer.
    serial: u32,
}

/// What a node goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// Who owns it.
    pub owner: String,
    /// By which opening.
    pub epoch: u64,
}

impl<'a> Town<'a> {
    /// A cluster of user-mode machines, with both volumes up.
    pub fn found(scene: &'a Scene) -> Result<Self, Trouble> {
        let yard = trial::yard(scene, Kind::UserMode)?;
        let mut machines = yard.found(NAMES)?;
        let one = machines[0].guest()?;
        let disks = yard.disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        let (data, pool) = disks.split_at(3);
        one.ok(&format!("evms container create data --private --owner n1 {}", data.join(" ")))?;
        one.ok(&format!("evms container create pool --shared {}", pool.join(" ")))?;
        one.ok(
            "evms volume create data/home --size 8M --stripes 3 && evms volume create pool/board --size 8M",
        )?;
        until_done(one, "evms activate data")?;
        for machine in &mut machines {
            until_done(machine.guest()?, "evms activate pool")?;
        }
        let part = |node: u64| Part::of(BOARD, node * BLOCKS_SHARED, BLOCKS_SHARED);
        let (private, shared) = (Part::of(HOME, 0, BLOCKS), [part(0), part(1), part(2)]);
        Ok(Self { yard, machines, private, shared, serial: 0 })
    }

    /// Whose a container is, as this node sees it.
    pub fn tenure(&mut self, node: usize, container: &str) -> Result<Tenure, Trouble> {
        let said = self.machines[node].guest()?.ok(&format!("evms why {container} --json"))?;
        let value: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let (owner, epoch) = (&value["result"]["owner"], &value["result"]["epoch"]);
        match (owner.as_str(), epoch.as_u64()) {
            (Some(owner), Some(epoch)) => Ok(Tenure { owner: owner.into(), epoch }),
            _ => Err(Trouble::Unexpected(format!("evms why said {said}"))),
        }
    }

    /// Of the next writer of a node.
    pub fn name(&mut self, node: usize) -> String {
        self.serial += 1;
        format!("{}.{}", NAMES[node], self.serial)
    }

    /// The first node writes to its own volume, and all of them to the shared one.
    pub fn begin(&mut self) -> Result<(), Trouble> {
        let epoch = self.tenure(0, "data")?.epoch;
        let names = [self.name(0), self.name(0)];
        let one = self.machines[0].guest()?;
        self.private.fill(one, 0, &names[0], epoch)?;
        self.private.start(one, 0, &names[1], epoch)?;
        self.private.wait_for_begin(one)?;
        let epoch = self.tenure(0, "pool")?.epoch;
        for node in 0..3 {
            let names = [self.name(node), self.name(node)];
            let (guest, part) = (self.machines[node].guest()?, &mut self.shared[node]);
            part.fill(guest, node, &names[0], epoch)?;
            part.start(guest, node, &names[1], epoch)?;
            part.wait_for_begin(guest)?;
        }
        Ok(())
    }

    /// Every writer goes on, and ends without one error in all its time; and what was written is what stands.
    pub fn enough(&mut self) -> Result<u64, Trouble> {
        let mut writes = 0;
        for node in 0..3 {
            self.private.end(node, &mut self.machines[node])?;
            self.shared[node].end(node, &mut self.machines[node])?;
        }
        for (part, reader) in self.shared.iter().zip([1, 2, 0]).chain([(&self.private, 0)]) {
            for run in part.runs() {
                assert_eq!(run.failed, None, "{}", run.writer.name);
                writes += run.writer.acked;
            }
            let findings = claims::check(&part.claims(), &part.read(self.machines[reader].guest()?)?);
            assert!(findings.broken.is_empty() && findings.late_blocks == 0, "{findings:?}");
        }
        Ok(writes)
    }

    /// All are in one view, with every gate open.
    pub fn are_one(&mut self) -> Result<(), Trouble> {
        for machine in &mut self.machines {
            let guest = machine.guest()?;
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
            wait_until(guest, QUORATE)?;
            wait_until(guest, SETTLED)?;
        }
        Ok(())
    }

    /// In which boot each machine is.
    pub fn boots(&mut self) -> Result<Vec<String>, Trouble> {
        self.machines.iter_mut().map(|machine| machine.guest()?.ok(BOOT)).collect()
    }

    /// Who keeps the first node's gates.
    pub fn keepers(&mut self) -> Result<String, Trouble> {
        self.machines[0].guest()?.ok(KEEPER)
    }

    /// The view that all are in.
    pub fn view(&mut self) -> Result<String, Trouble> {
        self.machines[1].guest()?.ok("evms status | sed -n 's/^view *\\([0-9.]*\\) .*/\\1/p'")
    }

    /// Who has the private container, as this node sees it.
    pub fn holder(&mut self, node: usize) -> Result<usize, Trouble> {
        let owner = self.tenure(node, "data")?.owner;
        let place = NAMES.iter().position(|name| *name == owner);
        place.ok_or_else(|| Trouble::Unexpected(format!("'{owner}' is none of them")))
    }

    /// Nobody was taken from or counted out.
    pub fn was_peaceful(&mut self) -> Result<(), Trouble> {
        let history = self.machines[1].guest()?.ok("evms history data; evms history pool")?;
        assert!(!history.contains("taken over") && !history.contains("counted out"), "{history}");
        Ok(())
    }
}
