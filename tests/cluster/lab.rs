//! Several machines on one: a network namespace each, folders of its own over `/etc`, `/run` and `/var/lib`, and the real
//! daemon in it. All of it is gone when the lab is dropped, also when a test fails.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use evms::format::control::{self, Question, Reply, Request, Status};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fabric::{Fabric, Plan, hardware};
use crate::tap::{Namespace, namespace, neighbours, take_the_place_of};

/// How long anything is waited for before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The issue: one agreed view so many seconds after the last change of connectivity.
const AGREED: Duration = Duration::from_secs(2);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);
pub const PORT: u16 = 5430;
/// To strace: calls that send are over later, in microseconds.
const HELD: &str = "inject=sendto,sendmsg,sendmmsg:delay_exit=10000";

/// One machine.
pub struct Node {
    pub name: String,
    folder: PathBuf,
    run: PathBuf,
    namespace: Namespace,
    daemon: Option<Child>,
}

/// All of them, and the network between.
pub struct Lab {
    pub nodes: Vec<Node>,
    fabric: Fabric,
    folder: PathBuf,
    memory: PathBuf,
}

/// Where memory is a folder: what `/run` is, and a disk that is never busy with what others write.
const MEMORY: &str = "/dev/shm";

fn uuid(number: u128) -> String {
    let hex = format!("{number:032x}");
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// The machine in this place.
pub fn machine(place: usize) -> String {
    uuid(place as u128 + 1)
}

/// The configuration of so many nodes, and a change of it.
pub fn configuration(nodes: usize, links: usize) -> String {
    let mut text = format!("cluster = \"lab\"\nid = \"{}\"\ngeneration = 1\n", uuid(0x77));
    for node in 0..nodes {
        let links =
            (0..links).map(|link| format!("\"10.88.{link}.{}\"", node + 1)).collect::<Vec<_>>().join(", ");
        text.push_str(&format!(
            "\n[[node]]\nid = {0}\nname = \"n{0}\"\nmachine = \"{1}\"\nlinks = [{links}]\n",
            node + 1,
            uuid(node as u128 + 1)
        ));
    }
    text
}

pub fn key(byte: u8) -> String {
    format!("evms-key-1:{}\n", format!("{byte:02x}").repeat(32))
}

fn dashed(hardware: [u8; 6]) -> String {
    hardware.map(|byte| format!("{byte:02x}")).join(":")
}

impl Lab {
    /// So many machines, their daemons not started.
    pub fn new(name: &str, nodes: usize, links: usize) -> Lab {
        let own = format!("evms-lab-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(&own);
        let memory = Some(Path::new(MEMORY)).filter(|memory| memory.is_dir());
        let memory = memory.map_or(folder.join("memory"), |memory| memory.join(&own));
        let _ = (fs::remove_dir_all(&folder), fs::remove_dir_all(&memory));
        let (mut all, mut cables) = (Vec::new(), Vec::new());
        for node in 0..nodes {
            let address = |link: usize| format!("10.88.{link}.{}/24", node + 1);
            let (namespace, ends) = namespace(links, |link| dashed(hardware(node, link)), address);
            cables.push(ends);
            let name = format!("n{}", node + 1);
            let (folder, run) = (folder.join(&name), memory.join(&name));
            let node = Node { name, folder, run, namespace, daemon: None };
            node.furnish(&configuration(nodes, links), &key(7), &uuid(all.len() as u128 + 1));
            all.push(node);
        }
        for (place, node) in all.iter().enumerate() {
            let others = (0..nodes).filter(|other| *other != place);
            let on = |other: usize| {
                (0..links).map(move |link| {
                    (link, format!("10.88.{link}.{}", other + 1), dashed(hardware(other, link)))
                })
            };
            let known = others.flat_map(on).collect::<Vec<_>>();
            node.inside(|| neighbours(&known));
        }
        Lab { nodes: all, fabric: Fabric::new(cables, 1), folder, memory }
    }

    /// The machine in the place `copy` is one of that in `of`, with all that it has written and on its network; its daemon is not started.
    pub fn clone_of(&self, of: usize, copy: usize) {
        let (first, second) = (&self.nodes[of], &self.nodes[copy]);
        second.configure(&first.configuration());
        second.be(&machine(of));
        let known = (0..copy).filter(|other| *other != of);
        let known = known.map(|other| (0, format!("10.88.0.{}", other + 1), dashed(hardware(other, 0))));
        let known = known.collect::<Vec<_>>();
        second.inside(|| {
            take_the_place_of(&format!("10.88.0.{}/24", of + 1), &dashed(hardware(of, 0)));
            neighbours(&known);
        });
        self.plan().twin(of, copy);
    }

    /// The same, with all daemons started.
    pub fn running(name: &str, nodes: usize, links: usize) -> Lab {
        let mut lab = Lab::new(name, nodes, links);
        lab.nodes.iter_mut().for_each(Node::start);
        lab
    }

    /// Where what belongs to all of it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same, in memory.
    pub fn memory(&self) -> &Path {
        &self.memory
    }

    /// Starts all daemons side by side, as after a power cut of the room.
    pub fn start_at_once(&mut self) {
        std::thread::scope(|scope| {
            for node in &mut self.nodes {
                scope.spawn(|| node.start());
            }
        });
    }

    /// Builds what gives daemons wall clocks of their own.
    pub fn wall_library(&self) -> PathBuf {
        let (source, built) =
            (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/wall.c"), self.folder.join("wall.so"));
        let ran = Command::new("gcc")
            .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
            .arg(&built)
            .arg(source)
            .output();
        let ran = ran.expect("there is gcc");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        built
    }

    pub fn plan(&self) -> &Plan {
        &self.fabric.plan
    }

    /// How each node sees the cluster; nothing of one whose daemon does not answer.
    pub fn seen(&self) -> Vec<Option<Status>> {
        self.nodes.iter().map(Node::status).collect()
    }

    /// Until all of these have one view with just these members, and then are quorate or not; how long it took them to agree on
    /// the view, and its number. (Quorum comes when what was promised to others has ended.)
    pub fn agree(&self, places: &[usize], quorate: bool) -> (Duration, String) {
        let members = places.iter().map(|place| self.nodes[*place].name.clone()).collect::<Vec<_>>();
        let (begin, mut agreed) = (Instant::now(), None::<Duration>);
        loop {
            let seen = places.iter().map(|place| self.nodes[*place].status()).collect::<Vec<_>>();
            let views = seen.iter().map(|status| status.as_ref()?.view.clone()).collect::<Vec<_>>();
            let first = views[0].clone();
            let same = first.as_ref().is_some_and(|first| first.members == members)
                && views.iter().all(|view| {
                    view.as_ref().map(|view| &view.number) == first.as_ref().map(|first| &first.number)
                });
            agreed = agreed.filter(|_| same).or(same.then(|| begin.elapsed()));
            let so = seen.iter().flatten().all(|status| status.quorum.quorate == quorate);
            if let (Some(took), Some(view), true) = (agreed, first, so) {
                return (took, view.number);
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "{members:?} do not agree:\n{}\n{}",
                shown(&seen),
                self.logs()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Until this is so.
    pub fn until(&self, mut is_so: impl FnMut(&Lab) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < PATIENCE, "{}\n{}", shown(&self.seen()), self.logs());
            std::thread::sleep(LOOK);
        }
    }

    /// All logs.
    pub fn logs(&self) -> String {
        self.nodes.iter().map(|node| format!("-- {}\n{}", node.name, node.log())).collect()
    }

    /// How many views counted on a node so far, by its own log.
    pub fn views(&self, place: usize) -> usize {
        self.nodes[place].log().lines().filter(|line| line.contains(": view ")).count()
    }
}

/// An agreement that came when it had to.
pub fn in_time(what: &str, took: Duration) {
    println!("       {what} after {:.2} s", took.as_secs_f64());
    assert!(took <= AGREED, "{what}: {took:?}");
}

/// Statuses for who has to find out.
pub fn shown(seen: &[Option<Status>]) -> String {
    let one = |status: &Option<Status>| match status {
        None => "no answer".to_string(),
        Some(status) => format!("{}: {:?} {}", status.node, status.view, status.quorum.why),
    };
    seen.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A folder that takes nothing.
pub struct Full {
    folder: PathBuf,
}

impl Drop for Full {
    fn drop(&mut self) {
        run_aside("chattr", &["-i", self.folder.to_str().unwrap()]);
    }
}

fn run_aside(program: &str, words: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin:/usr/bin", std::env::var("PATH").unwrap_or_default());
    let said = Command::new(program).args(words).env("PATH", path).output().unwrap();
    assert!(said.status.success(), "{program}: {}", String::from_utf8_lossy(&said.stderr));
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        let _ = (fs::remove_dir_all(&self.folder), fs::remove_dir_all(&self.memory));
    }
}

impl Node {
    fn etc(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// Where its daemon is asked.
    pub fn door(&self) -> PathBuf {
        self.run.join("evms/evmsd.sock")
    }

    fn furnish(&self, configuration: &str, key: &str, machine: &str) {
        for room in [self.folder.join("etc/evms"), self.folder.join("lib"), self.run.join("evms")] {
            fs::create_dir_all(room).unwrap();
        }
        self.be(machine);
        self.configure(configuration);
        self.give_key(key);
    }

    /// Its configuration.
    pub fn configure(&self, text: &str) {
        fs::write(self.etc().join("evms.conf"), text).unwrap();
    }

    /// Its configuration is gone, and nothing else.
    pub fn lose_configuration(&self) {
        fs::remove_file(self.etc().join("evms.conf")).unwrap();
    }

    /// The text of its configuration.
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.etc().join("evms.conf")).unwrap_or_default()
    }

    /// What was agreed on is gone, as with a disk that was replaced.
    pub fn lose_what_was_agreed(&self) {
        let _ = fs::remove_dir_all(self.folder.join("lib/evms"));
    }

    /// A file of what was agreed on, or of what is being.
    pub fn agreed(&self, file: &str) -> PathBuf {
        self.folder.join("lib/evms").join(file)
    }

    /// Nothing can be kept any more beside what is, until this is dropped.
    pub fn fill_what_was_agreed(&self) -> Full {
        // Root writes where a mode forbids it: so there is something in the way, which cannot be replaced.
        let folder = self.folder.join("lib/evms");
        run_aside("chattr", &["+i", folder.to_str().unwrap()]);
        Full { folder }
    }

    /// A machine of which no cluster knows.
    pub fn strip(&self) {
        for file in ["evms.conf", "evms/key", "evms/node"] {
            let _ = fs::remove_file(self.etc().join(file));
        }
    }

    /// The machine that it is.
    pub fn be(&self, machine: &str) {
        fs::write(self.etc().join("evms/node"), format!("{machine}\n")).unwrap();
    }

    /// Its key.
    pub fn give_key(&self, text: &str) {
        let path = self.etc().join("evms/key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What a daemon before left in this boot is gone, as after a boot.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.state());
    }

    /// Does something in its place.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let done = std::thread::scope(|scope| scope.spawn(|| self.enter(work)).join());
        done.expect("it is done inside")
    }

    fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        self.namespace.enter();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let nothing = None::<&Path>;
        mount(nothing, Path::new("/"), nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        let (etc, lib) = (self.folder.join("etc"), self.folder.join("lib"));
        for (own, place) in [(&etc, "/etc"), (&self.run, "/run"), (&lib, "/var/lib")] {
            mount(Some(own), Path::new(place), nothing, MsFlags::MS_BIND, nothing).unwrap();
        }
        work()
    }

    /// Runs the program under a name of it, to its end.
    pub fn evms(&self, applet: &str, words: &[&str]) -> Output {
        self.inside(|| Command::new(env!("CARGO_BIN_EXE_evms")).arg(applet).args(words).output().unwrap())
    }

    /// What its daemon keeps for the next one of its boot.
    pub fn state(&self) -> PathBuf {
        self.run.join("evms/state")
    }

    /// Starts its daemon.
    pub fn start(&mut self) {
        let log = self.folder.join("log");
        self.start_logging_to(log.to_str().unwrap());
    }

    /// The same, with its words going there.
    pub fn start_logging_to(&mut self, path: &str) {
        self.start_as(Command::new(env!("CARGO_BIN_EXE_evms")), path);
    }

    /// The same, telling a service manager there how it is.
    pub fn start_telling(&mut self, path: &Path) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evms"));
        command.env("NOTIFY_SOCKET", path);
        let log = self.folder.join("log");
        self.start_as(command, log.to_str().unwrap());
    }

    /// The same, each call that sends held for a while after what it sent is on the cable.
    pub fn start_held(&mut self) {
        let mut command = Command::new("strace");
        // -D: the daemon is the child, and strace looks at it from behind.
        command.args([
            "-D",
            "-f",
            "-q",
            "-o",
            "/dev/null",
            "-e",
            "trace=sendto,sendmsg,sendmmsg",
            "-e",
            HELD,
        ]);
        command.arg(env!("CARGO_BIN_EXE_evms"));
        let log = self.folder.join("log");
        self.start_as(command, log.to_str().unwrap());
    }

    /// The same, with a wall clock of its own, by a library that is built beforehand.
    pub fn start_by_wall(&mut self, library: &Path) {
        self.set_wall(0);
        let mut command = Command::new(env!("CARGO_BIN_EXE_evms"));
        command.env("LD_PRELOAD", library).env("EVMS_WALL", self.folder.join("wall"));
        let log = self.folder.join("log");
        self.start_as(command, log.to_str().unwrap());
    }

    /// Sets that wall clock: as wrong as this.
    pub fn set_wall(&self, seconds: i64) {
        // In one step: what is read half is another time.
        let new = self.folder.join("wall.new");
        fs::write(&new, seconds.to_string()).unwrap();
        fs::rename(new, self.folder.join("wall")).unwrap();
    }

    fn start_as(&mut self, mut command: Command, path: &str) {
        let log = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let child = self.inside(|| {
            command
                .args(["evmsd", "--log", "stderr"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap()
        });
        self.daemon = Some(child);
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until it has ended by itself; its code.
    pub fn ended(&mut self) -> Option<i32> {
        let mut child = self.daemon.take()?;
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if begin.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("evmsd of {} does not end:\n{}", self.name, self.log());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// How it sees the cluster; nothing when it does not answer at once.
    pub fn status(&self) -> Option<Status> {
        let mut stream = UnixStream::connect(self.door()).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        stream
            .write_all(&control::encode(&Question { node: String::new(), request: Request::Status }))
            .ok()?;
        let mut head = [0; control::LENGTH_BYTES];
        stream.read_exact(&mut head).ok()?;
        let mut body = vec![0; control::length_of(head).ok()?];
        stream.read_exact(&mut body).ok()?;
        match control::decode(&body).ok()? {
            Reply::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// Asks its daemon something, and hangs up.
    pub fn ask_and_hang_up(&self, request: Request) {
        let mut stream = UnixStream::connect(self.door()).unwrap();
        stream.write_all(&control::encode(&Question { node: String::new(), request })).unwrap();
    }

    /// Bytes of its memory that are in use.
    pub fn resident_kib(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Hundredths of a second of processor that it used so far.
    pub fn ticks(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields = text.rsplit(')').next().unwrap().split_whitespace().collect::<Vec<_>>();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}
