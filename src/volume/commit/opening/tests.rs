//! Going on with what is one's own, on disks in memory: nothing is written where all stands as it was left, and an opening it is where
//! anything does not.

use super::*;
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, MIB};
use crate::format::layout::{Layout, Recipe, SlotIndex};
use crate::volume::commit::io::Op;
use crate::volume::plan::fixture;

const SIZE: Bytes = Bytes(16 * MIB);
const DISKS: usize = 3;
const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

fn node(id: NodeId) -> NodeUuid {
    NodeUuid([id.0 as u8; 16])
}

fn me() -> Me {
    let (cluster, configuration) = (ClusterId([9; 16]), Generation(1));
    Me { node: node(ME), id: Some(ME), incarnation: Incarnation([1; 16]), cluster, configuration }
}

/// The disks of a container, each all of its bytes.
#[derive(Clone)]
struct Disks {
    model: Model,
    bytes: [Vec<u8>; DISKS],
    /// How often somebody wrote.
    writes: usize,
    /// By what an opening saw to it, behind its promise, that its number is its alone.
    claimed_by: Vec<Claimed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claimed {
    /// Two beats.
    Time,
    /// It was proven to be quorate.
    Proof,
}

impl Disks {
    /// Founded, by an opening of this node.
    fn new() -> Disks {
        let mut model = fixture::container(&[10; DISKS]);
        model.container.cluster = me().cluster;
        let bytes = [(); DISKS].map(|()| vec![0; SIZE.0 as usize]);
        let mut disks = Disks { model, bytes, writes: 0, claimed_by: Vec::new() };
        let opening = Opening::found(disks.members(), me(), Rules::ALL);
        assert!(!disks.stands_by(opening));
        disks
    }

    fn layout() -> Layout {
        let (node_blocks, ring, end) = (Bytes(24 << 10), Bytes(48 << 10), Bytes(MIB));
        let (proof, drill) = (Bytes(BLOCK_BYTES), Bytes(BLOCK_BYTES));
        let recipe = Recipe { node_blocks, proof, drill, slot: Bytes(16 << 10), history: ring, end };
        Layout::make(SIZE, &recipe).unwrap()
    }

    fn members(&self) -> Vec<Member> {
        let container = self.model.container.id;
        let disks = self.model.table.disks.iter();
        disks
            .map(|disk| Member { container, number: disk.number, id: disk.id, layout: Disks::layout() })
            .collect()
    }

    /// Carries an opening out: was nothing to be opened?
    fn stands_by(&mut self, opening: Opening) -> bool {
        self.carry_all_out(opening, &mut Vec::new())
    }

    /// How long an opening by this machine waits for others, each time, in milliseconds.
    fn waits(&mut self, by: Me, past: Option<(NodeUuid, Incarnation)>) -> Vec<u64> {
        let mut opening = Opening::new(self.members(), by, Rules::ALL);
        opening.give_way_first(past);
        let mut waits = Vec::new();
        self.carry_all_out(opening, &mut waits);
        waits
    }

    fn carry_all_out(&mut self, mut opening: Opening, waits: &mut Vec<u64>) -> bool {
        loop {
            let asks = match opening.poll(BootTime::default()) {
                Need::Io(asks) => asks,
                Need::Wait(ms) => {
                    waits.push(ms);
                    continue;
                }
                Need::Still => continue,
                Need::Pause => {
                    self.claimed_by.push(Claimed::Time);
                    continue;
                }
                Need::Proof => {
                    let at = self.writes;
                    assert!(matches!(opening.poll(BootTime::default()), Need::Proof), "until it is told");
                    assert_eq!(self.writes, at);
                    self.claimed_by.push(Claimed::Proof);
                    opening.proven();
                    continue;
                }
                Need::Stands(_) => return true,
                Need::Over => break,
                Need::Decision(_) => {
                    opening.decide(Some(self.model.clone()), false);
                    continue;
                }
            };
            for ask in asks {
                let answer = self.carry_out(&ask);
                opening.handle(ask.lane, answer);
            }
        }
        opening.finish().expect("it is opened");
        false
    }

    fn carry_out(&mut self, ask: &Ask) -> Answer {
        let disk = &mut self.bytes[ask.lane];
        match &ask.op {
            Op::Write { at, bytes, .. } => {
                disk[at.0 as usize..at.0 as usize + bytes.len()].copy_from_slice(bytes);
                self.writes += 1;
                Answer::Done
            }
            Op::Flush => Answer::Done,
            #[cfg(feature = "mistakes")]
            Op::BufferedRead { at, length } => {
                Answer::Read(disk[at.0 as usize..(at.0 + length) as usize].to_vec())
            }
            Op::Read { at, length } => Answer::Read(disk[at.0 as usize..(at.0 + length) as usize].to_vec()),
        }
    }

    /// Goes on: is nothing to be opened, and nothing written?
    fn go_on(&mut self) -> bool {
        let mut opening = Opening::new(self.members(), me(), Rules::ALL);
        opening.look_first();
        self.writes = 0;
        let stands = self.stands_by(opening);
        assert_eq!(stands, self.writes == 0);
        stands
    }

    /// Somebody's promise on one disk.
    fn promise(&mut self, disk: usize, id: NodeId, by: NodeUuid, epoch: Epoch) {
        let block = NodeBlock {
            id,
            node: by,
            cluster: me().cluster,
            container: self.model.container.id,
            incarnation: Incarnation([7; 16]),
            epoch,
            counter: 1 << 32,
        };
        self.put(disk, node_block::place(&Disks::area(), id, block.counter).unwrap(), &block.encode());
    }

    fn area() -> crate::format::layout::Area {
        Disks::layout().area(AreaKind::NodeBlocks, End::Primary)
    }

    fn put(&mut self, disk: usize, at: Bytes, bytes: &[u8]) {
        self.bytes[disk][at.0 as usize..at.0 as usize + bytes.len()].copy_from_slice(bytes);
    }
}

fn epoch(round: u64, id: NodeId) -> Epoch {
    Epoch(round << 16 | u64::from(id.0))
}

fn other() -> Me {
    Me { node: node(OTHER), id: Some(OTHER), incarnation: Incarnation([2; 16]), ..me() }
}

/// The last look sees that nothing has changed for 2.4 s.
#[test]
fn whoever_promised_is_waited_for() {
    let mut disks = Disks::new();
    assert_eq!(disks.waits(me(), None), []);
    disks.promise(0, OTHER, node(OTHER), epoch(7, OTHER));
    assert_eq!(disks.waits(me(), None), [200; 12]);
    assert_eq!(disks.waits(me(), None), [], "it was outbid");
    disks.promise(0, OTHER, node(OTHER), epoch(9, OTHER));
    let past = |life: u8| Some((node(OTHER), Incarnation([life; 16])));
    assert_eq!(disks.clone().waits(me(), past(8)), [200; 12], "another life of it");
    assert_eq!(disks.waits(me(), past(7)), []);
}

/// A number that its cluster gave is nobody else's whom a majority believes; any other one waits for who may have taken it too.
#[test]
fn a_first_claim_is_proven_in_its_own_cluster_and_waits_elsewhere() {
    let claims = |change: &dyn Fn(&mut Disks), by: Me| {
        let mut disks = Disks::new();
        disks.claimed_by.clear();
        change(&mut disks);
        disks.waits(by, None);
        disks.claimed_by
    };
    let nothing = |_: &mut Disks| ();
    assert_eq!(Disks::new().claimed_by, [Claimed::Time], "founded");
    assert_eq!(claims(&nothing, me()), [], "it has its block");
    assert_eq!(claims(&nothing, other()), [Claimed::Proof]);
    let before =
        |disks: &mut Disks| (0..DISKS).for_each(|disk| disks.promise(disk, OTHER, node(NodeId(3)), Epoch(1)));
    assert_eq!(claims(&before, other()), [Claimed::Time], "another machine had that number");
    let of_another = Me { cluster: ClusterId([8; 16]), ..other() };
    assert_eq!(claims(&nothing, of_another), [Claimed::Time]);
    assert_eq!(claims(&nothing, Me { id: None, cluster: ClusterId::NONE, ..other() }), [Claimed::Time]);
}

/// A newcomer of the cluster gives way as any; one that has two beats to wait does that instead.
#[test]
fn a_newcomer_waits_once() {
    let mut disks = Disks::new();
    disks.promise(0, ME, node(ME), epoch(7, ME));
    assert_eq!(disks.clone().waits(other(), None), [200; 12]);
    assert_eq!(disks.waits(Me { id: None, cluster: ClusterId::NONE, ..other() }, None), []);
}

/// Two thirds of the disks lack one end.
#[test]
fn what_is_unsettled_is_let_settle() {
    let mut disks = Disks::new();
    for (disk, index) in [0, 1].into_iter().flat_map(|disk| SlotIndex::BOTH.map(|index| (disk, index))) {
        let at = Disks::layout().slot(index, End::Secondary).start_bytes();
        disks.put(disk, at, &[0; BLOCK_BYTES as usize]);
    }
    // Without a cluster: a first claim's two beats are longer than that.
    let alone = Me { id: None, cluster: ClusterId::NONE, ..other() };
    assert_eq!(disks.clone().waits(alone, None), []);
    // Longer than a guard's word is taken, behind the promise.
    let settles = [[200; 12].as_slice(), &[1500]].concat();
    assert_eq!(disks.clone().waits(other(), None), settles);
    assert_eq!(disks.clone().waits(other(), Some((node(ME), me().incarnation))), []);
    assert_eq!(disks.waits(me(), None), [], "a process of this machine left it so");
}

#[test]
fn what_stands_as_it_was_left_is_not_opened() {
    let mut disks = Disks::new();
    assert!(disks.go_on() && disks.go_on());
    // Who was outbid when it was opened last began nothing since.
    disks.promise(0, OTHER, node(OTHER), Epoch(1));
    assert!(disks.go_on());
}

#[test]
fn who_promised_since_is_outbid() {
    for disk in 0..DISKS {
        let mut disks = Disks::new();
        disks.promise(disk, OTHER, node(OTHER), epoch(7, OTHER));
        assert!(!disks.go_on(), "one disk alone tells it: {disk}");
        assert!(disks.go_on(), "behind that it stands again");
    }
    let mut disks = Disks::new();
    disks.promise(1, ME, node(ME), epoch(7, ME));
    assert!(!disks.go_on(), "a command of this node was cut off behind its promise");
}

#[test]
fn another_machine_in_its_place_is_no_promise_of_its_own() {
    let mut disks = Disks::new();
    (0..DISKS).for_each(|disk| disks.promise(disk, ME, node(OTHER), Epoch(1)));
    assert!(!disks.go_on());
}

#[test]
fn a_promise_that_may_be_hidden_is_outbid() {
    let mut disks = Disks::new();
    let at = node_block::place(&Disks::area(), OTHER, 0).unwrap();
    disks.put(2, at, &[0x55; 2 * BLOCK_BYTES as usize]);
    assert!(!disks.go_on());
}

#[test]
fn a_copy_that_is_not_whole_everywhere_is_written_anew() {
    for (end, disk) in End::BOTH.into_iter().zip(0..) {
        let mut disks = Disks::new();
        for index in SlotIndex::BOTH {
            let at = Disks::layout().slot(index, end).start_bytes();
            disks.put(disk, at, &[0; BLOCK_BYTES as usize]);
        }
        assert!(!disks.go_on(), "{end:?}");
        assert!(disks.go_on(), "{end:?}");
    }
}
