//! Questions over a manager that says what a test tells it to.

use super::*;
use crate::base::id::Incarnation;
use crate::cluster::beat::Session;
use crate::cluster::node_set::NodeSet;
use crate::engine::manager::script::Script;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);

fn set(nodes: &[NodeId]) -> NodeSet {
    nodes.iter().copied().collect()
}

fn questions() -> Questions<Script, &'static str> {
    let mut script = Script::new(ME, SmallMap::new());
    script.have(set(&[ME, OTHER, THIRD]), true);
    Questions::new(script, 6)
}

fn life(session: u64) -> Life {
    Life { incarnation: Incarnation([9; 16]), session: Session(session) }
}

fn answer(number: u64, words: &str) -> Vec<u8> {
    Letter::Answer(number, Box::new(Reply::Done(words.into()))).encode()
}

fn done(words: &str) -> Box<Reply> {
    Box::new(Reply::Done(words.into()))
}

#[test]
fn only_who_was_asked_answers_and_once() {
    let mut all = questions();
    assert_eq!(all.ask(OTHER, Request::Status, "asker"), Ok(7));
    assert_eq!(all.manager().sent, [(OTHER, Letter::Ask(7, Request::Status).encode())]);
    all.manager_mut().say(THIRD, &answer(7, "forged"));
    all.manager_mut().say(OTHER, &answer(6, "of another life"));
    assert_eq!(all.came(), None);
    all.manager_mut().say(OTHER, &answer(7, "well"));
    all.manager_mut().say(OTHER, &answer(7, "well, again"));
    assert_eq!(all.came(), Some(Came::Answered("asker", done("well"))));
    assert_eq!(all.came(), None);
}

/// A manager tells of every message what became of it, in whichever order: an answer may overtake the word that the question arrived.
#[test]
fn a_question_ends_with_the_message_that_carries_it() {
    let mut all = questions();
    for asker in ["first", "second", "third"] {
        all.ask(OTHER, Request::Status, asker).unwrap();
    }
    let script = all.manager_mut();
    script.have(set(&[ME, THIRD]), true);
    script.end(Message(1), Some("n2: it left the view"));
    script.end(Message(2), None);
    script.say(OTHER, &answer(9, "well"));
    script.end(Message(3), Some("n2: it left the view"));
    assert_eq!(all.came(), Some(Came::Failed("first", "n2: it left the view".into())));
    assert_eq!(all.came(), Some(Came::Answered("third", done("well"))), "it was there before it left");
    assert_eq!(all.came(), None, "the second one arrived, and may be answered yet");
    all.forget(8);
    all.manager_mut().say(OTHER, &answer(8, "late"));
    assert_eq!(all.came(), None, "nobody waits any more");
}

#[test]
fn who_is_no_member_is_not_asked() {
    let mut all = questions();
    all.manager_mut().have(set(&[ME, THIRD]), true);
    assert_eq!(all.ask(OTHER, Request::Status, "asker"), Err(NotSent::NotAMember(OTHER)));
    all.tell(OTHER, Request::Status);
    assert_eq!(
        all.ping(OTHER, &Arc::from(*b"x"), "pinger"),
        Err(NotPinged::NotSent(NotSent::NotAMember(OTHER)))
    );
    assert_eq!((all.came(), all.manager().sent.len()), (None, 0));
}

#[test]
fn an_answer_is_for_the_life_that_asked() {
    let mut all = questions();
    all.manager_mut().live(OTHER, life(1));
    all.manager_mut().say(OTHER, &Letter::Ask(70, Request::Status).encode());
    let Some(Came::Asked(asked)) = all.came() else { panic!("it asked") };
    assert_eq!((asked.from, asked.life, asked.number), (OTHER, Some(life(1)), 70));
    all.manager_mut().live(OTHER, life(2));
    all.answer(&asked, Reply::Done("old".into()));
    assert!(all.manager().sent.is_empty());
    all.answer(&Asked { life: Some(life(2)), ..asked }, Reply::Done("new".into()));
    assert_eq!(all.manager().sent, [(OTHER, answer(70, "new"))]);
}

#[test]
fn a_ping_is_sent_back_and_too_many_are_not_sent() {
    let mut all = questions();
    all.manager_mut().say(OTHER, &Letter::Ping(5, vec![1, 2]).encode());
    assert_eq!(all.came(), None);
    assert_eq!(all.manager().sent, [(OTHER, Letter::Pong(5, vec![1, 2]).encode())]);
    for _ in 0..PINGS_MAX {
        all.ping(OTHER, &Arc::from(*b"x"), "pinger").unwrap();
    }
    assert_eq!(all.ping(OTHER, &Arc::from(*b"x"), "one more"), Err(NotPinged::TooMany));
    all.forget(7);
    for number in [7, 8] {
        all.manager_mut().say(OTHER, &Letter::Pong(number, b"x".to_vec()).encode());
    }
    assert_eq!(all.came(), Some(Came::Back("pinger")));
    assert_eq!(all.came(), None);
}

#[test]
fn a_ping_that_comes_back_altered_is_told_as_such() {
    let mut all = questions();
    let payload = Arc::from(*b"0123456789");
    let came = |all: &mut Questions<Script, &'static str>, from: NodeId, back: &[u8]| {
        let number = all.ping(OTHER, &payload, "pinger").unwrap();
        all.manager_mut().say(from, &Letter::Pong(number, back.to_vec()).encode());
        all.came()
    };
    assert_eq!(came(&mut all, OTHER, b"0123456789"), Some(Came::Back("pinger")));
    for back in [&b"0123456780"[..], b"0123456799", b"012345678", b"01234567890", b""] {
        assert_eq!(came(&mut all, OTHER, back), Some(Came::Altered("pinger")));
    }
    assert_eq!(came(&mut all, NodeId(OTHER.0 + 1), b"0123456789"), Some(Came::Altered("pinger")));
}

#[test]
fn what_is_not_known_is_said_to_be_so_and_not_answered_for_ever() {
    let mut all = questions();
    all.manager_mut().say(OTHER, b"\xff\xff\xff");
    assert_eq!(all.came(), None);
    assert_eq!(all.manager().sent, [(OTHER, Letter::Unknown.encode())]);
    all.manager_mut().say(OTHER, &Letter::Unknown.encode());
    assert_eq!(all.came(), Some(Came::NotKnown(OTHER)));
    assert_eq!(all.manager().sent.len(), 1);
}

#[test]
fn who_begins_anew_waits_for_nothing_of_before() {
    let mut all = questions();
    all.ask(OTHER, Request::Status, "asker").unwrap();
    let mut script = Script::new(ME, SmallMap::new());
    script.have(set(&[ME, OTHER]), true);
    script.say(OTHER, &answer(7, "to the one before"));
    script.end(Message(1), Some("n2: it left the view"));
    all.begin_anew(script);
    assert_eq!(all.came(), None);
    assert_eq!(all.ask(OTHER, Request::Status, "asker"), Ok(8), "numbers go on");
}
