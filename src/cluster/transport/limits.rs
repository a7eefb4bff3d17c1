//! Every limit of the transport with its reason. Times are in microseconds, lengths in bytes.

use crate::format::packet::{LENGTH_BYTES, PARTS_MAX, PIECE_HEAD_BYTES, TAKEN_BYTES};

/// Links to one peer (design section 2).
pub const LINKS_MAX: usize = 4;
/// Longest message (design section 5): a model of the largest container fits.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Of the stream, behind its first message that was not taken, a receiver keeps so much: a tenth of a second of a gigabit
/// network's traffic is a dozen of these, a round trip of one a hundredth.
pub const WINDOW_BYTES: usize = 1 << 20;
/// What a receiver keeps of one peer at most: the longest message, so that it can be whole, and a window behind it.
pub const RECEIVED_BYTES_MAX: usize = LENGTH_BYTES + MESSAGE_BYTES_MAX + WINDOW_BYTES;
/// Pieces that came before their turn and are kept. One costs about a hundred bytes beside its own, so that a sender of
/// scraps is held to half a mebibyte of them; an honest one has not so many packets under way.
pub const EARLY_PIECES_MAX: usize = 4096;

/// What a sender keeps for one peer at most: the longest message, and others beside it.
pub const QUEUE_BYTES_MAX: usize = 20 << 20;
/// And so many messages, for short ones cost more than their bytes.
pub const QUEUE_MESSAGES_MAX: usize = 8192;

/// Payload of a datagram of 1232 bytes, which every path carries (design section 5).
pub const PAYLOAD_BYTES_BASE: usize = 1184;
/// Payloads that are tried on a link, in this order: datagrams of 1452 (IPv6 over Ethernet), 1472 (IPv4), 8952 and 8972 (the
/// same over jumbo frames), each less 48 bytes of frame.
pub const PAYLOAD_BYTES_TRIED: [usize; 4] = [1404, 1424, 8904, 8924];
/// Tries of one size.
pub const SIZE_TRIES: u32 = 3;
/// Between two tries of a size.
pub const SIZE_TRY_US: u64 = 100_000;
/// From a size that did not pass to the next try of it; doubled each time that it fails again.
pub const SIZE_RETRY_US: u64 = 10_000_000;
/// The longest such time.
pub const SIZE_RETRY_US_MAX: u64 = 640_000_000;
/// Large packets lost one after the other, and none that passed, while small ones pass: the path swallows large ones (F10).
pub const LARGE_LOST_MAX: u32 = 3;

/// Pieces in one packet: more scraps than this wait for the next. A receiver takes no packet of more parts than it says.
pub const PIECES_MAX: usize = 128;

/// Packets under way on one link: each is remembered.
pub const FLIGHT_PACKETS_MAX: usize = 4096;
/// Bytes under way at first: 32 packets. RFC 9002 begins with ten, for paths that others share.
pub const FLIGHT_BYTES_FIRST: u64 = 32 * 1232;
/// Bytes that may be under way whatever is lost: 32 packets. A network of machines that share disks loses by faults more
/// often than by crowding, and a message must get through 20 % of loss (F8).
pub const FLIGHT_BYTES_MIN: u64 = FLIGHT_BYTES_FIRST;
/// Bytes that may be under way however well it goes: what 10 Gbit/s carry in 1.6 ms.
pub const FLIGHT_BYTES_MAX: u64 = 2 << 20;
/// Packets that are remembered after they were given up, to learn from an acknowledgement that comes late.
pub const GIVEN_UP_MAX: usize = 512;

/// A packet is lost when so many behind it arrived (RFC 9002, 6.1.1).
pub const OVERTAKERS_MAX: u64 = 3;
/// After a packet that was given up arrived after all, the link counts for so long as one on which packets overtake: time alone
/// says what is lost.
pub const OVERTAKING_US: u64 = 30_000_000;
/// Nothing is given up sooner: clocks of loops are not finer.
pub const PATIENCE_US_MIN: u64 = 1000;
/// Round trip that is assumed until one was measured.
pub const ROUND_TRIP_US_FIRST: u64 = 100_000;
/// The longest wait of a sender for an acknowledgement before it tries again: an outage is over within this after it ended.
pub const RETRY_US_MAX: u64 = 1_000_000;
/// Packets sent in one such try.
pub const RETRY_PACKETS: u32 = 2;
/// Tries on one link without an answer, after which another one is taken.
pub const RETRIES_BEFORE_ANOTHER_LINK: u32 = 2;

/// Packets that ask for an acknowledgement and get one together.
pub const ACKNOWLEDGED_TOGETHER: u32 = 2;
/// The longest that an acknowledgement waits for something to travel with.
pub const ACKNOWLEDGE_US: u64 = 5000;
/// Ranges of packets that are kept to be acknowledged; older ones were told many times.
pub const ARRIVAL_RANGES_MAX: usize = 64;

/// Between two pings of a link.
pub const PING_US: u64 = 500_000;
/// A ping that was not answered by then is lost.
pub const PING_LOST_US: u64 = 2_000_000;
/// Pings of a link that wait for an answer.
pub const PINGS_MAX: usize = 16;
/// Pongs of a link that wait to be sent; a peer that asks faster is not answered.
pub const PONGS_MAX: usize = 8;
/// A link on which nothing was answered for so long is dead: three pings, and some.
pub const LINK_SILENT_US: u64 = 1_750_000;
/// Between two changes of the link in use, when none is dead: what flaps is not followed.
pub const LINK_HOLD_US: u64 = 3_000_000;
/// A link of which more of a thousand packets are lost is used only when there is no better one.
pub const LINK_LOST_PER_MILLE_MAX: u64 = 50;
/// A round trip is better when it is shorter by a quarter, and by this.
pub const LINK_BETTER_US: u64 = 200;
/// Losses are counted over so many stretches of time, the oldest going when a new one begins.
pub const LOSS_STRETCHES: usize = 6;
/// Each this long: a minute in all.
pub const LOSS_STRETCH_US: u64 = 10_000_000;

/// Packets that may leave at once however slow the pace.
pub const BURST_PACKETS: u64 = 16;
/// And what the pace makes in this time, for loops do not wake more often.
pub const BURST_US: u64 = 2000;

const _: () = assert!(QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX + WINDOW_BYTES);
const _: () =
    assert!(WINDOW_BYTES > LENGTH_BYTES && PAYLOAD_BYTES_BASE > 2 * (PIECE_HEAD_BYTES + TAKEN_BYTES));
const _: () = assert!(FLIGHT_BYTES_MIN <= FLIGHT_BYTES_MAX);
const _: () = assert!(PIECES_MAX + PONGS_MAX + 2 <= PARTS_MAX);
const _: () = assert!(PING_US * 3 < LINK_SILENT_US && PING_LOST_US / PING_US < PINGS_MAX as u64);
const _: () = assert!(MESSAGE_BYTES_MAX <= u32::MAX as usize);
