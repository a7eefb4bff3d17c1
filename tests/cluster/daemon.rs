//! The daemon as a process, and what it is to those who ask it: many, slow ones, wrong ones, and those who may not.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use evms::format::control::{self, Question, Refusal, Reply, Request, Status};
use nix::sys::signal::Signal;

use crate::Case;
use crate::lab::{Lab, Node};

pub const CASES: &[Case] = &[
    ("f18_a_daemon_that_is_told_to_end_and_starts_again_changes_no_view", told_to_end),
    ("who_watches_is_told_of_a_change", watched),
    ("slow_clients_and_too_many_hold_nobody", crowd),
    ("nonsense_on_the_socket_is_answered_and_changes_nothing", nonsense),
    ("nobody_but_root_may_ask", only_root),
    ("a_service_manager_is_told", notified),
    ("check_says_what_is_wrong_and_shows_its_arithmetic", checked),
];

/// Clients at one time (`run::daemon::clients`).
const CLIENTS_MAX: usize = 64;

fn knock(node: &Node) -> UnixStream {
    let stream = UnixStream::connect(node.door()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn ask(stream: &mut UnixStream, request: Request) {
    stream.write_all(&control::encode(&Question { node: String::new(), request })).unwrap();
}

/// The next answer; nothing when the daemon hung up.
fn answer(stream: &mut UnixStream) -> Option<Reply> {
    let mut head = [0; control::LENGTH_BYTES];
    stream.read_exact(&mut head).ok()?;
    let mut body = vec![0; control::length_of(head).ok()?];
    stream.read_exact(&mut body).ok()?;
    control::decode(&body).ok()
}

fn status(stream: &mut UnixStream) -> Status {
    match answer(stream) {
        Some(Reply::Status(status)) => *status,
        other => panic!("{other:?}"),
    }
}

/// Safety 1.7, by SIGTERM: it ends in good order, and nobody is told that it left.
fn told_to_end() {
    let mut lab = Lab::running("told", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    for _ in 0..3 {
        lab.nodes[1].signal(Signal::SIGTERM);
        assert_eq!(lab.nodes[1].ended(), Some(0), "{}", lab.logs());
        assert!(!lab.nodes[1].door().exists(), "it takes its socket away");
        lab.nodes[1].start();
        assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", lab.logs());
    }
}

fn watched() {
    let lab = Lab::running("watched", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let mut stream = knock(&lab.nodes[0]);
    ask(&mut stream, Request::Watch);
    assert!(status(&mut stream).quorum.quorate);
    lab.plan().partition(&[0]);
    // Told at the change, and once a second besides.
    let lost = (0..20).map(|_| status(&mut stream)).find(|status| !status.quorum.quorate);
    assert!(lost.is_some(), "{}", lab.logs());
    // The program prints a page for each.
    lab.nodes[0].inside(|| {
        let watch = Command::new(env!("CARGO_BIN_EXE_evms"))
            .args(["status", "--watch"])
            .stdout(Stdio::piped())
            .spawn();
        let mut watch = watch.unwrap();
        let mut text = String::new();
        let mut page = [0; 4096];
        while text.matches("quorum   NO").count() < 2 {
            let bytes = watch.stdout.as_mut().unwrap().read(&mut page).unwrap();
            assert!(bytes > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&page[..bytes]));
        }
        watch.kill().unwrap();
        watch.wait().unwrap();
    });
}

/// Some ask for all that there is and never read; so many are there that no more are served. The view stands, and who is served is
/// answered; when they go the next ones are.
fn crowd() {
    let lab = Lab::running("crowd", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let mut served = knock(&lab.nodes[0]);
    ask(&mut served, Request::Status);
    status(&mut served);
    let mut slow = (1..CLIENTS_MAX).map(|_| knock(&lab.nodes[0])).collect::<Vec<_>>();
    for stream in slow.iter_mut().take(CLIENTS_MAX / 2) {
        for _ in 0..200 {
            // Until its own end is full.
            stream.set_nonblocking(true).unwrap();
            let question = Question { node: String::new(), request: Request::Status };
            if stream.write_all(&control::encode(&question)).is_err() {
                break;
            }
        }
    }
    let mut one_more = knock(&lab.nodes[0]);
    match answer(&mut one_more) {
        Some(Reply::Refused(Refusal::Refused, words)) => assert!(words.contains("64 clients"), "{words}"),
        other => panic!("{other:?}"),
    }
    for _ in 0..20 {
        ask(&mut served, Request::Status);
        assert_eq!(status(&mut served).view.unwrap().number, view);
    }
    drop((slow, served));
    lab.until(|lab| lab.nodes[0].status().is_some());
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", lab.logs());
}

fn nonsense() {
    let lab = Lab::running("nonsense", 2, 1);
    let (_, view) = lab.agree(&[0, 1], true);
    let too_long = (control::FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec();
    let longer_than_a_question = (control::QUESTION_BYTES_MAX as u32 + 1).to_le_bytes().to_vec();
    let other_version = vec![4, 0, 0, 0, 9, 9, 0, 0];
    let no_value = vec![4, 0, 0, 0, control::VERSION as u8, 0, 0, 200];
    for bytes in [too_long, longer_than_a_question, other_version, no_value] {
        let mut stream = knock(&lab.nodes[0]);
        stream.write_all(&bytes).unwrap();
        match answer(&mut stream) {
            Some(Reply::Refused(Refusal::Unknown, words)) => assert!(!words.is_empty()),
            other => panic!("{bytes:?}: {other:?}"),
        }
        assert!(answer(&mut stream).is_none(), "where its next question begins cannot be told");
    }
    // And one that ends in the middle of a question.
    knock(&lab.nodes[0]).write_all(&[200, 0, 0]).unwrap();
    assert_eq!(lab.agree(&[0, 1], true).1, view);
}

/// By the mode of the file, and by what the kernel says of who asks (SO_PEERCRED) where that was changed.
fn only_root() {
    let lab = Lab::running("root", 2, 1);
    lab.agree(&[0, 1], true);
    let as_nobody = || {
        let script = "import socket,os,sys\nos.setgid(65534); os.setuid(65534)\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(10)\n\
                      s.connect(sys.argv[1])\ntry:\n s.sendall(bytes([4,0,0,0,1,0,0,0])); n=len(s.recv(9))\n\
                      except ConnectionError: n=0\nsys.stdout.write(str(n))\n";
        let run = Command::new("python3").args(["-c", script]).arg(lab.nodes[0].door()).output().unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stdout).into_owned())
    };
    assert!(!as_nobody().0, "the file's mode forbids it");
    let open = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    lab.nodes[0].door().ancestors().take(4).for_each(open);
    assert_eq!(as_nobody(), (true, "0".into()), "hung up without a word");
}

/// It says when it is ready, how it is, and that it stops.
fn notified() {
    let mut lab = Lab::new("notified", 1, 1);
    let path = lab.folder().join("notify");
    let hears = UnixDatagram::bind(&path).unwrap();
    hears.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let next = || {
        let mut bytes = [0; 512];
        // A receive with a limit is interrupted when the machine is stopped and goes on (signal(7)); nothing was taken then.
        let length = loop {
            match hears.recv(&mut bytes) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => break other.unwrap(),
            }
        };
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    lab.nodes[0].start_telling(&path);
    assert!(next().starts_with("READY=1\nSTATUS="));
    let quorate = (0..10).map(|_| next()).find(|words| words.contains("STATUS=quorate by view"));
    assert!(quorate.is_some());
    lab.nodes[0].signal(Signal::SIGTERM);
    assert!((0..10).map(|_| next()).any(|words| words == "STOPPING=1"));
    assert_eq!(lab.nodes[0].ended(), Some(0));
}

fn checked() {
    let lab = Lab::new("checked", 3, 2);
    let check = |node: &Node| {
        let said = node.evms("evmsd", &["--check"]);
        (said.status.code(), String::from_utf8_lossy(&said.stdout).into_owned())
    };
    let (code, said) = check(&lab.nodes[0]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "3 nodes, 3 votes",
        "this machine is n1 (1)",
        "10.88.0.1",
        "10.88.1.1",
        // R18: the arithmetic, by hand: beats of 100 ms, ten of them; 1500 x 1.01 / 0.99; and 5000 + 1000 + 5000 + 2000
        // likewise; two more for clocks that count whole milliseconds.
        "a beat each 100 ms",
        "silent after 1000 ms, which is 10 beats",
        "I/O stops 1500 ms after",
        "others wait 1533 ms",
        "5000 ms of a disk lease + 1000 ms of a disk beat + 5000 ms of a watchdog + 2000 ms of what is under way",
        "13265 ms",
        // (2 x 5000 + 2000) x 1.01 / 0.99 and two milliseconds; 2000 likewise.
        "12245 ms after the others are quorate without it",
        "2043 ms after that",
        "wall clocks decide nothing",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // The key of another mode, none, and an address that is not here.
    lab.nodes[0].give_key("nonsense\n");
    let (code, said) = check(&lab.nodes[0]);
    assert!(code == Some(1) && said.contains("key"), "{said}");
    lab.nodes[1].configure(&lab.nodes[1].configuration().replace("10.88.0.2", "10.9.9.9"));
    let (code, said) = check(&lab.nodes[1]);
    assert!(code == Some(1) && said.contains("no interface of this machine has 10.9.9.9"), "{said}");
}
