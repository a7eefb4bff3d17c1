//! The network between nodes: every frame goes through here, where it may be lost, doubled, delayed, cut one way, kept and
//! sent again. One thread; what the weather does follows from a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Frames that are kept to be sent again.
const KEPT_MAX: usize = 2000;
const FRAME_BYTES_MAX: usize = 65_536;
/// Where the port stands to which a datagram goes, behind the shortest heads.
const PORT_AT: usize = 14 + 20 + 2;

/// What happens to frames that are not cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub lost_per_mille: u64,
    pub doubled_per_mille: u64,
    /// Milliseconds, from and to: what waits longer is overtaken.
    pub delay_ms: (u64, u64),
    /// Frames that are longer vanish; zero for none.
    pub hole_bytes: usize,
}

/// Sees every frame that is sent, before it is carried anywhere.
type Watcher = Box<dyn FnMut(&[u8]) + Send>;

/// What can be changed while it runs.
pub struct Plan {
    nodes: usize,
    links: usize,
    cut: Mutex<Vec<bool>>,
    weather: Mutex<Weather>,
    kept: Mutex<Vec<(usize, Vec<u8>)>>,
    keeps: AtomicBool,
    inject: Mutex<Vec<(usize, Vec<u8>)>>,
    watcher: Mutex<Option<Watcher>>,
    /// What goes to this port of UDP vanishes; zero for none.
    mute: AtomicU16,
    /// What is for the first goes to the second, too.
    twins: Mutex<Option<(usize, usize)>>,
    ends: AtomicBool,
}

impl Plan {
    fn at(&self, from: usize, to: usize, link: usize) -> usize {
        (from * self.nodes + to) * self.links + link
    }

    /// Cuts, or mends, one direction of one link between two nodes; places, from zero.
    pub fn cut(&self, from: usize, to: usize, link: usize, cut: bool) {
        let at = self.at(from, to, link);
        self.cut.lock().unwrap()[at] = cut;
    }

    /// Both directions of all links between these two.
    pub fn cut_both(&self, one: usize, other: usize, cut: bool) {
        for link in 0..self.links {
            self.cut(one, other, link, cut);
            self.cut(other, one, link, cut);
        }
    }

    /// Between those of one side and all others.
    pub fn partition(&self, side: &[usize]) {
        for one in 0..self.nodes {
            for other in 0..self.nodes {
                if side.contains(&one) != side.contains(&other) {
                    self.cut_both(one, other, true);
                }
            }
        }
    }

    /// Whole again.
    pub fn mend(&self) {
        self.cut.lock().unwrap().fill(false);
    }

    pub fn weather(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    /// What goes to this port vanishes from now on, and beside it all is as before; zero for none.
    pub fn mute(&self, port: u16) {
        self.mute.store(port, Ordering::Relaxed);
    }

    /// `copy` hears all that is for `of` from now on: there are two of one hardware address.
    pub fn twin(&self, of: usize, copy: usize) {
        *self.twins.lock().unwrap() = Some((of, copy));
    }

    /// From now on all frames are shown to this one.
    pub fn watch(&self, watcher: impl FnMut(&[u8]) + Send + 'static) {
        *self.watcher.lock().unwrap() = Some(Box::new(watcher));
    }

    /// From now on the last frames are kept.
    pub fn keep(&self) {
        self.keeps.store(true, Ordering::Relaxed);
    }

    /// What was kept: to which node, and the frame.
    pub fn kept(&self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut self.kept.lock().unwrap())
    }

    /// Puts a frame onto a node's first cable.
    pub fn inject(&self, to: usize, frame: Vec<u8>) {
        self.inject.lock().unwrap().push((to, frame));
    }
}

/// A running network.
pub struct Fabric {
    pub plan: Arc<Plan>,
    thread: Option<JoinHandle<()>>,
}

impl Fabric {
    /// `cables[node][link]`.
    pub fn new(cables: Vec<Vec<File>>, seed: u64) -> Fabric {
        let (nodes, links) = (cables.len(), cables[0].len());
        let plan = Arc::new(Plan {
            nodes,
            links,
            cut: Mutex::new(vec![false; nodes * nodes * links]),
            weather: Mutex::default(),
            kept: Mutex::default(),
            keeps: AtomicBool::new(false),
            inject: Mutex::default(),
            watcher: Mutex::default(),
            mute: AtomicU16::new(0),
            twins: Mutex::new(None),
            ends: AtomicBool::new(false),
        });
        let mut running =
            Running { plan: Arc::clone(&plan), cables, chance: seed, late: BinaryHeap::new(), order: 0 };
        let thread = Some(std::thread::spawn(move || running.run()));
        Fabric { plan, thread }
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        self.plan.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// When, in which order, to which node and link, and what.
type Late = Reverse<(Instant, u64, usize, usize, Vec<u8>)>;

struct Running {
    plan: Arc<Plan>,
    cables: Vec<Vec<File>>,
    chance: u64,
    late: BinaryHeap<Late>,
    order: u64,
}

/// The hardware address of a node's end of a link; the last two bytes tell.
pub fn hardware(node: usize, link: usize) -> [u8; 6] {
    [2, 0, 0, 0, link as u8, node as u8]
}

impl Running {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if bound == 0 { 0 } else { (mixed ^ (mixed >> 31)) % bound }
    }

    fn run(&mut self) {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        while !self.plan.ends.load(Ordering::Relaxed) {
            self.wait();
            for node in 0..self.cables.len() {
                for link in 0..self.cables[node].len() {
                    while let Ok(bytes) = (&self.cables[node][link]).read(&mut buffer) {
                        self.carry(node, link, &buffer[..bytes]);
                    }
                }
            }
            for (to, frame) in std::mem::take(&mut *self.plan.inject.lock().unwrap()) {
                let _ = (&self.cables[to][0]).write(&frame);
            }
            self.deliver_late();
        }
    }

    fn wait(&self) {
        let mut all = Vec::new();
        for cable in self.cables.iter().flatten() {
            all.push(PollFd::new(cable.as_fd(), PollFlags::POLLIN));
        }
        let next = self.late.peek().map(|Reverse((at, ..))| at.saturating_duration_since(Instant::now()));
        let ms = next.map_or(5, |next| next.as_millis().min(5) as u16);
        let _ = poll(&mut all, PollTimeout::from(ms));
    }

    fn carry(&mut self, from: usize, link: usize, frame: &[u8]) {
        let Some(to) = frame.first_chunk::<6>() else { return };
        if let Some(watcher) = &mut *self.plan.watcher.lock().unwrap() {
            watcher(frame);
        }
        let mute = self.plan.mute.load(Ordering::Relaxed);
        if mute != 0 && frame.get(PORT_AT..PORT_AT + 2) == Some(&mute.to_be_bytes()[..]) {
            return;
        }
        let weather = *self.plan.weather.lock().unwrap();
        if weather.hole_bytes > 0 && frame.len() > weather.hole_bytes {
            return;
        }
        let twins = *self.plan.twins.lock().unwrap();
        for node in (0..self.cables.len()).filter(|node| *node != from) {
            let is_copys = twins.is_some_and(|(of, copy)| node == copy && *to == hardware(of, link));
            let meant = to[0] & 1 == 1 || *to == hardware(node, link) || is_copys;
            let cut = self.plan.cut.lock().unwrap()[self.plan.at(from, node, link)];
            if meant && !cut {
                self.weathered(weather, node, link, frame);
            }
        }
    }

    fn weathered(&mut self, weather: Weather, node: usize, link: usize, frame: &[u8]) {
        if self.plan.keeps.load(Ordering::Relaxed) {
            let mut kept = self.plan.kept.lock().unwrap();
            if kept.len() < KEPT_MAX {
                kept.push((node, frame.to_vec()));
            }
        }
        if self.below(1000) < weather.lost_per_mille {
            return;
        }
        let copies = if self.below(1000) < weather.doubled_per_mille { 2 } else { 1 };
        for _ in 0..copies {
            let (least, most) = weather.delay_ms;
            let delay = least + self.below(most.saturating_sub(least) + 1);
            if delay == 0 {
                let _ = (&self.cables[node][link]).write(frame);
            } else {
                self.order += 1;
                let at = Instant::now() + Duration::from_millis(delay);
                self.late.push(Reverse((at, self.order, node, link, frame.to_vec())));
            }
        }
    }

    fn deliver_late(&mut self) {
        while self.late.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now()) {
            if let Some(Reverse((_, _, node, link, frame))) = self.late.pop() {
                let _ = (&self.cables[node][link]).write(&frame);
            }
        }
    }
}

/// A UDP datagram as a whole frame, from one node to another.
pub fn datagram(from: usize, to: usize, port: u16, payload: &[u8]) -> Vec<u8> {
    let total = (28 + payload.len()) as u16;
    let mut ip =
        vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 88, 0, from as u8 + 1, 10, 88, 0, to as u8 + 1];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let length = (8 + payload.len()) as u16;
    let mut frame = [&hardware(to, 0)[..], &hardware(from, 0), &[8, 0], &ip].concat();
    frame.extend_from_slice(&port.to_be_bytes());
    frame.extend_from_slice(&port.to_be_bytes());
    frame.extend_from_slice(&length.to_be_bytes());
    // No checksum of UDP.
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(payload);
    frame
}
