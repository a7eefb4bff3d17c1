//! A storage network whose target is Linux itself (LIO), in a guest of its own: unlike tgtd it takes PREEMPT AND ABORT and
//! registrations that outlive a loss of power, and its cord can be pulled.

use crate::disk::{Disk, Lun};
use crate::guest::Guest;
use crate::modules;
use crate::plan::Plan;
use crate::san::free_port;
use crate::trouble::Trouble;

/// The name of the target that has all the disks.
const TARGET: &str = "iqn.2026-01.test.evms:lio";
/// What the target is made of; an image carries them with [`Image::module`](crate::image::Image::module).
pub const MODULES: &[&str] = &["target_core_mod", "target_core_iblock", "iscsi_target_mod", "configfs"];
/// The emulator's own network has this address for its guest; nothing leaves it but what comes in at the one port.
const ADDRESS: &str = "10.0.2.15/24";
/// A target that knows no names: whoever comes may read and write.
const PORTAL: &str = "set -e
mount -t configfs none /sys/kernel/config
mkdir -p /var/target/pr /etc/target/pr
ip link set lo up; ip address add ADDRESS dev eth0; ip link set eth0 up
tpg=/sys/kernel/config/target/iscsi/TARGET/tpgt_1
mkdir -p $tpg/np/0.0.0.0:3260
for word in authentication=0 generate_node_acls=1 demo_mode_write_protect=0 cache_dynamic_acls=1; do
  echo ${word#*=} >$tpg/attrib/${word%=*}
done";
const UNIT: &str = "set -e
core=/sys/kernel/config/target/core/iblock_NUMBER/SERIAL
lun=/sys/kernel/config/target/iscsi/TARGET/tpgt_1/lun/lun_NUMBER
mkdir -p $core $lun
echo udev_path=NODE >$core/control
echo 1 >$core/enable
echo SERIAL >$core/wwn/vpd_unit_serial
ln -s $core $lun/unit";

/// The target's machine.
#[derive(Debug)]
pub struct Lio {
    /// The guest, for looking at it and for its cord.
    pub guest: Guest,
    disks: Vec<Disk>,
}

impl Lio {
    /// Starts the planned guest, whose image has [`MODULES`], with these disks, and serves them.
    pub fn start(plan: Plan, disks: &[&Disk]) -> Result<Self, Trouble> {
        let portal = free_port()?;
        let card = format!("user,id=portal,restrict=on,hostfwd=tcp:{portal}-:3260");
        let load = [modules::USUAL, modules::NETWORK, MODULES].concat();
        let plan = plan.disks(disks.iter().copied()).load(&load);
        let card = ["-netdev", &card, "-device", "virtio-net-pci,netdev=portal,romfile="];
        let mut guest = plan.machine_words(&card).start()?;
        guest.ok(&PORTAL.replace("ADDRESS", ADDRESS).replace("TARGET", TARGET))?;
        let mut served = Vec::new();
        for (number, disk) in disks.iter().enumerate() {
            let node = guest.device(disk)?;
            let unit = UNIT.replace("NUMBER", &number.to_string()).replace("TARGET", TARGET);
            guest.ok(&unit.replace("NODE", &node).replace("SERIAL", disk.serial()))?;
            let lun = Lun { portal: portal.clone(), target: TARGET.into(), number };
            served.push((*disk).clone().over_iscsi(lun));
        }
        guest.ok(&format!("echo 1 >/sys/kernel/config/target/iscsi/{TARGET}/tpgt_1/enable"))?;
        Ok(Self { guest, disks: served })
    }

    /// The disks as guests reach them through the target.
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }
}
