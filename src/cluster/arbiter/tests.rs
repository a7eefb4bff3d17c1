//! What the arbiter writes where, and what of it counts.

use super::*;
use crate::base::units::BLOCK_BYTES;

const BOOT: Incarnation = Incarnation([9; 16]);
const BLOCK: usize = BLOCK_BYTES as usize;

fn me() -> Identity {
    Identity {
        cluster: ClusterId([7; 16]),
        uuid: NodeUuid([1; 16]),
        node: NodeId(1),
        incarnation: BOOT,
        generation: 2,
        nodes: [NodeId(1), NodeId(2)].into_iter().collect(),
    }
}

fn block(counter: u64) -> Vec<u8> {
    let nothing = ViewRecord::default();
    let said = ArbitrationBlock {
        id: NodeId(1),
        node: me().uuid,
        cluster: me().cluster,
        incarnation: BOOT,
        generation: 2,
        counter,
        promised: Ballot(5 << 16 | 1),
        accepted: Ballot::default(),
        holder: nothing,
        renewals: 0,
        quorate: nothing,
    };
    said.encode()
}

/// Does these, and whatever is asked for behind them; what was written where.
fn serve(
    arbiter: &mut Arbiter,
    disks: &mut [Vec<u8>],
    now: BootTime,
    commands: Vec<Command>,
) -> Vec<(usize, Bytes)> {
    let mut written = Vec::new();
    let mut commands = VecDeque::from(commands);
    while let Some(command) = commands.pop_front().or_else(|| arbiter.command()) {
        match command.act {
            Act::Read { length } => {
                let bytes = disks[command.disk][..length.0 as usize].to_vec();
                arbiter.answer(now, command.disk, command.id, Answer::Read(&bytes));
            }
            Act::Write { at, block } => {
                disks[command.disk][at.0 as usize..][..BLOCK].copy_from_slice(&block);
                written.push((command.disk, at));
                arbiter.answer(now, command.disk, command.id, Answer::Written);
            }
        }
    }
    written
}

/// A daemon is started again in its boot. Two disks say what it said; the third, which was written last of all, answers later.
/// What is counted as standing there must be what everybody reads there, and the newer of its blocks is not overwritten.
#[test]
fn what_is_counted_as_standing_is_what_others_read() {
    let now = BootTime { ms: 100_000 };
    for last_in_second in [true, false] {
        let mut disks = vec![vec![0; 4 * BLOCK]; 3];
        let (newest, older) = if last_in_second { (BLOCK, 0) } else { (0, BLOCK) };
        disks[0][newest..][..BLOCK].copy_from_slice(&block(30));
        disks[0][older..][..BLOCK].copy_from_slice(&block(27));
        disks[1][..BLOCK].copy_from_slice(&block(28));
        disks[2][..BLOCK].copy_from_slice(&block(29));
        let mut arbiter = Arbiter::new(me(), 3, Timing::default(), Rules::ALL, now);
        arbiter.tick(now, None, Heard::new);
        let mut reads = std::iter::from_fn(|| arbiter.command()).collect::<Vec<_>>();
        reads.rotate_left(1);
        serve(&mut arbiter, &mut disks, now.plus_ms(5), reads);
        let promised = Ballot(8 << 16 | 1);
        arbiter.said.promised = promised;
        let then = now.plus_ms(2000);
        arbiter.tick(then, None, Heard::new);
        let written = serve(&mut arbiter, &mut disks, then, Vec::new());
        let to_first_disk = written.iter().find(|(disk, _)| *disk == 0).map(|(_, at)| at.0 as usize);
        assert_eq!(to_first_disk, Some(older), "the newest stands at {newest}");
        for disk in &arbiter.disks {
            assert_eq!(disk.known(NodeId(1)).map(|block| block.promised), Some(promised));
        }
    }
}

/// A node without a vote has bid for one half, and goes over to the other. Nobody of the first half is told: it goes on until the
/// lease ends that was written for it (seed 44887 of its day).
#[test]
fn who_goes_over_to_the_other_half_waits_for_what_it_wrote_for_the_first() {
    let view = |other: u16| ViewRecord {
        counter: u64::from(other),
        proposer: NodeId(1),
        boot: 1,
        members: NodeSet::of(NodeId(1)).with(NodeId(other)).bits(),
    };
    let wish = |other: u16| Wish {
        view: view(other),
        voters: NodeSet::of(NodeId(other)),
        majority: BootTime::default(),
        delay_ms: 0,
    };
    let mut disks = vec![vec![0; 6 * BLOCK]];
    let begin = BootTime { ms: 100_000 };
    let me = Identity { nodes: (1..=3).map(NodeId).collect(), ..me() };
    let mut arbiter = Arbiter::new(me, 1, Timing::default(), Rules::ALL, begin);
    let mut held = |from: BootTime, other: u16| {
        (0..600).map(|step| from.plus_ms(step * 100)).find_map(|now| {
            arbiter.tick(now, Some(wish(other)), Heard::new);
            serve(&mut arbiter, &mut disks, now, Vec::new());
            arbiter.stands_for(&view(other)).map(|(until, _)| (now, until))
        })
    };
    let (since, until) = held(begin, 2).expect("the disk is free");
    let (gone_over, _) = held(since.plus_ms(100), 3).expect("the lease ends");
    assert!(gone_over >= until, "{gone_over:?}, and the first half goes on until {until:?}");
}
