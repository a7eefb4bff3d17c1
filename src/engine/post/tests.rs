//! Two whole posts over a network of bytes.

use super::*;
use crate::base::dice::Dice;
use crate::base::hash::Hash128;
use crate::base::id::{ClusterId, NodeUuid};
use crate::cluster::beat::Session;
use crate::cluster::channel::{Common, Myself};
use crate::cluster::keys::{ClusterKey, Purpose};
use crate::cluster::view::ViewNumber;
use crate::format::greeting::VERSIONS;

fn post(node: u16, boot: u8) -> Post {
    let common = Common {
        cluster: ClusterId([7; 16]),
        machines: (1..=2).map(|node| (NodeId(node), NodeUuid([node as u8; 16]))).collect(),
        generation: 1,
        configuration: Hash128([1; 16]),
        versions: VERSIONS,
        window_ms: 1000,
    };
    let me = Myself {
        node: NodeId(node),
        machine: NodeUuid([node as u8; 16]),
        incarnation: Incarnation([boot; 16]),
        session: Session(1),
    };
    let dice = Dice::from_number(u64::from(boot));
    let keys = [ClusterKey::new([5; 32])];
    let channel = Channel::new(me, common, &keys, Purpose::Letters, dice, BootTime { ms: 1000 }).unwrap();
    let names = (1..=2).map(|node| (NodeId(node), Name::parse(&format!("n{node}")).unwrap())).collect();
    Post::new(NodeId(node), names, 1, channel)
}

fn view(counter: u64, members: &[(u16, u8)]) -> View {
    View {
        number: ViewNumber { counter, ..ViewNumber::default() },
        members: members.iter().map(|(node, boot)| (NodeId(*node), Incarnation([*boot; 16]))).collect(),
    }
}

/// Lets a second pass.
fn run(posts: &mut [Post; 2], from_ms: u64) -> u64 {
    for ms in from_ms..from_ms + 1000 {
        let now = BootMicros { us: ms * 1000 };
        for from in 0..2 {
            let mut sent = Vec::new();
            while let Some(datagram) = posts[from].outgoing(now) {
                sent.push(datagram);
            }
            for datagram in sent {
                let to = usize::from(datagram.node.0) - 1;
                let _ = posts[to].hear(now, datagram.link.unwrap_or(0), &datagram.bytes);
            }
        }
    }
    from_ms + 1000
}

fn messages(post: &mut Post) -> Vec<Vec<u8>> {
    let told = std::iter::from_fn(|| post.told());
    told.filter_map(|told| match told {
        Told::Message(_, message) => Some(message),
        _ => None,
    })
    .collect()
}

/// Who is heard and no member is on its way; a member, and this node, are there.
#[test]
fn who_is_heard_outside_the_view_approaches() {
    let mut post = post(1, 11);
    let set = |ids: &[u16]| ids.iter().copied().map(NodeId).collect::<NodeSet>();
    post.hears(set(&[1, 2]));
    assert_eq!(post.approaching(), set(&[2]));
    post.view(BootMicros::default(), Some(&view(1, &[(1, 11), (2, 12)])), true);
    assert_eq!(post.approaching(), NodeSet::EMPTY);
    post.view(BootMicros::default(), Some(&view(2, &[(1, 11)])), false);
    assert_eq!(post.approaching(), set(&[2]));
    post.hears(set(&[1]));
    assert_eq!(post.approaching(), NodeSet::EMPTY);
}

#[test]
fn messages_go_between_members_and_to_nobody_else() {
    let mut posts = [post(1, 11), post(2, 12)];
    let mut ms = run(&mut posts, 1000);
    assert_eq!(posts[0].send(NodeId(2), vec![1]), Err(NotSent::NotAMember(NodeId(2))));
    let both = view(1, &[(1, 11), (2, 12)]);
    for post in &mut posts {
        post.view(BootMicros { us: ms * 1000 }, Some(&both), true);
    }
    let long = vec![7; 300_000];
    let letter = posts[0].send(NodeId(2), long.clone()).unwrap();
    posts[0].send(NodeId(2), b"second".to_vec()).unwrap();
    ms = run(&mut posts, ms);
    assert_eq!(messages(&mut posts[1]), [long, b"second".to_vec()]);
    run(&mut posts, ms);
    let told = std::iter::from_fn(|| posts[0].told()).collect::<Vec<_>>();
    assert!(told.contains(&Told::Delivered(letter)), "{told:?}");
}

/// One of two saw the other leave the view and come back, the other saw nothing of it: what was under way is told as failed,
/// and what is sent afterwards arrives.
#[test]
fn a_view_that_only_one_saw_costs_what_was_under_way_and_no_more() {
    let mut posts = [post(1, 11), post(2, 12)];
    let mut ms = run(&mut posts, 1000);
    let both = |counter| view(counter, &[(1, 11), (2, 12)]);
    for post in &mut posts {
        post.view(BootMicros { us: ms * 1000 }, Some(&both(1)), true);
    }
    ms = run(&mut posts, ms);
    let lost = posts[0].send(NodeId(2), b"lost or not".to_vec()).unwrap();
    posts[1].view(BootMicros { us: ms * 1000 }, Some(&view(2, &[(2, 12)])), false);
    posts[1].view(BootMicros { us: ms * 1000 }, Some(&both(3)), true);
    ms = run(&mut posts, ms);
    let told = std::iter::from_fn(|| posts[0].told()).collect::<Vec<_>>();
    assert!(told.iter().any(|told| matches!(told, Told::Failed(letter, _) if *letter == lost)), "{told:?}");
    let later = posts[0].send(NodeId(2), b"later".to_vec()).unwrap();
    ms = run(&mut posts, ms);
    assert_eq!(messages(&mut posts[1]), [b"later".to_vec()]);
    run(&mut posts, ms);
    let told = std::iter::from_fn(|| posts[0].told()).collect::<Vec<_>>();
    assert!(told.contains(&Told::Delivered(later)), "{told:?}");
}

/// Nobody is in a view any more: what was accepted of the next configuration can be said all the same, by those who want to,
/// and what was under way between members is over.
#[test]
fn who_is_in_no_view_can_be_talked_to() {
    let mut posts = [post(1, 11), post(2, 12)];
    let mut ms = run(&mut posts, 1000);
    let both = view(1, &[(1, 11), (2, 12)]);
    for post in &mut posts {
        post.view(BootMicros { us: ms * 1000 }, Some(&both), true);
    }
    ms = run(&mut posts, ms);
    let lost = posts[0].send(NodeId(2), b"between members".to_vec()).unwrap();
    for post in &mut posts {
        post.view(BootMicros { us: ms * 1000 }, None, false);
        post.talk_beyond(BootMicros { us: ms * 1000 }, true);
    }
    let told = std::iter::from_fn(|| posts[0].told()).collect::<Vec<_>>();
    assert!(told.iter().any(|told| matches!(told, Told::Failed(letter, _) if *letter == lost)), "{told:?}");
    // Both began anew at one time, and have to hear so of each other.
    ms = run(&mut posts, ms);
    assert!(posts[0].reached().has(NodeId(2)));
    posts[0].send(NodeId(2), b"prepare".to_vec()).unwrap();
    ms = run(&mut posts, ms);
    assert_eq!(messages(&mut posts[1]), [b"prepare".to_vec()]);
    posts[0].talk_beyond(BootMicros { us: ms * 1000 }, false);
    assert_eq!(posts[0].send(NodeId(2), vec![1]), Err(NotSent::NotAMember(NodeId(2))));
}
