//! Two daemons' messages over sockets of this machine, one of which begins a new life.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::{Pin, pin};

use super::*;
use crate::base::id::NodeUuid;
use crate::cluster::beat::Session;
use crate::cluster::keys::ClusterKey;
use crate::cluster::roster::Roster;
use crate::cluster::view::ViewNumber;
use crate::engine::manager::Life;
use crate::host::identity::IdentityFiles;
use crate::host::wait;

/// How long is waited for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

fn settings(node: u16, port: u16) -> Settings {
    let mut text = format!(
        "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = 1\nport = {port}\n"
    );
    for id in 1..=2 {
        text.push_str(&format!(
            "[[node]]\nid = {id}\nname = \"n{id}\"\nmachine = \"22222222-2222-4222-8222-22222222222{id}\"\n\
             links = [\"127.0.61.{id}\"]\n"
        ));
    }
    let roster = Roster::parse(&text).unwrap();
    let machine = roster.configuration.nodes.get(&NodeId(node)).unwrap().uuid;
    Settings {
        agents: Default::default(),
        config: PathBuf::new(),
        roster,
        in_force: false,
        undecided: false,
        wish: None,
        keys: vec![ClusterKey::new([5; 32])],
        machine,
        node: NodeId(node),
        identity: IdentityFiles::default(),
    }
}

/// A port that nobody has on these addresses, and the next one too as far as can be told.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.61.1:0").unwrap();
    socket.local_addr().unwrap().port() - 1
}

fn mail(node: u16, port: u16, session: u64) -> Mail {
    let settings = settings(node, port);
    let machine: NodeUuid = settings.machine;
    let me = Myself {
        node: NodeId(node),
        machine,
        incarnation: Incarnation([node as u8; 16]),
        session: Session(session),
    };
    let mail = Mail::new(&settings, me, entropy::dice().unwrap()).unwrap();
    let members = (1..=2).map(|node| (NodeId(node), Incarnation([node as u8; 16]))).collect();
    let view = View { number: ViewNumber { counter: 1, ..ViewNumber::default() }, members };
    mail.view(Some(&view), true);
    mail
}

/// Lets both speak and hear until this gives something.
fn until<T>(mails: [&Mail; 2], mut what: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        for mail in mails {
            mail.speak();
        }
        let sockets = mails.iter().flat_map(|mail| mail.sockets()).map(AsFd::as_fd).collect::<Vec<_>>();
        wait::for_any(&sockets, 5);
        mails.iter().for_each(|mail| mail.hear(|_| true));
        if let Some(what) = what() {
            return what;
        }
        assert!(begin.elapsed() < PATIENCE, "nothing came");
    }
}

fn polled<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    smol::block_on(smol::future::poll_once(future.as_mut()))
}

fn prepare() -> Request {
    Request::Prepare { generation: 2, ballot: 65537 }
}

/// Asks until the other one has the question: before they know each other nobody is reached.
fn asks<'a>(asker: &'a Mail, asked: &Mail) -> (Pin<Box<dyn Future<Output = Reply> + 'a>>, Asked) {
    let mut question = Box::pin(asker.ask(NodeId(2), prepare()));
    let came = until([asker, asked], || {
        if smol::block_on(smol::future::poll_once(question.as_mut())).is_some() {
            question = Box::pin(asker.ask(NodeId(2), prepare()));
        }
        asked.asked.1.try_recv().ok()
    });
    (question, came)
}

/// The answer to a question of one life is none to the next life's question, though both go by one number: two proposals of
/// one generation could be decided by it.
#[test]
fn the_answer_to_one_life_is_not_taken_by_the_next() {
    let port = free_port();
    let other = mail(2, port, 1);
    let first = mail(1, port, 1);
    *first.state.borrow_mut().last() = 6;
    let (question, old) = asks(&first, &other);
    drop(question);
    drop(first);
    let second = mail(1, port, 2);
    *second.state.borrow_mut().last() = old.number - 1;
    // Until the other one knows this life.
    let life = Some(Life { incarnation: Incarnation([1; 16]), session: Session(2) });
    until([&second, &other], || (other.state.borrow().manager().life(NodeId(1)) == life).then_some(()));
    let mut question = pin!(second.ask(NodeId(2), prepare()));
    assert_eq!(polled(&mut question), None, "it waits");
    let new = until([&second, &other], || other.asked.1.try_recv().ok());
    assert_eq!((old.number, old.from), (new.number, new.from), "they can be told apart by the life alone");
    other.answer(&old, Reply::Accepted(1));
    other.answer(&new, Reply::Accepted(2));
    assert_eq!(until([&second, &other], || polled(&mut question)), Reply::Accepted(2));
}

/// A disk that hangs holds what is to be kept there: as many questions as there is room for wait, the next one is refused with
/// words, and who wants to know how things are is answered all the same.
#[test]
fn f33_what_waits_for_a_disk_holds_no_other_question() {
    let port = free_port();
    let (asker, other) = (mail(1, port, 1), mail(2, port, 1));
    let (question, _) = asks(&asker, &other);
    drop(question);
    for _ in 0..ASKED_MAX.1 {
        asker.tell(NodeId(2), prepare());
    }
    until([&asker, &other], || other.asked.1.is_full().then_some(()));
    let mut look = pin!(asker.ask(NodeId(2), Request::Status));
    let mut one_more = pin!(asker.ask(NodeId(2), prepare()));
    assert!(polled(&mut look).is_none() && polled(&mut one_more).is_none(), "they are under way");
    let looked = until([&asker, &other], || other.looks.1.try_recv().ok());
    other.answer(&looked, Reply::Done("it is well".into()));
    assert_eq!(until([&asker, &other], || polled(&mut look)), Reply::Done("it is well".into()));
    let told = until([&asker, &other], || polled(&mut one_more));
    assert!(matches!(&told, Reply::Refused(_, words) if words.contains("nothing was done")), "{told:?}");
}

#[test]
fn each_life_numbers_its_questions_from_somewhere_else() {
    let port = free_port();
    let number = |session| *mail(1, port, session).state.borrow_mut().last();
    assert_ne!(number(1), number(2));
}
