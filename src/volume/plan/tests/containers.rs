//! Tests: requests about a container itself.

use super::*;
use crate::format::model::deed::Deed;
use crate::volume::request::NewDisk;
use fixture::create_request;

fn made(change: impl Fn(&mut CreateContainer)) -> Result<Model, Refusal> {
    let mut request = create_request(&[10, 10]);
    change(&mut request);
    create(&request, ContainerId([9; 16]), &asker(1, 1))
}

fn unmade(change: impl Fn(&mut CreateContainer)) -> (String, Kind) {
    told(made(change).unwrap_err())
}

fn first(change: impl Fn(&mut NewDisk)) -> (String, Kind) {
    unmade(|request| change(&mut request.disks[0]))
}

#[test]
fn a_new_container_has_its_owner_as_sole_holder() {
    let model = made(|_| ()).unwrap();
    assert_eq!(model.container.holders, [holder(1, 1, 0, false)]);
    assert_eq!((model.table.first, model.table.next_number, model.table.old_set), (disk(1), 3, None));
    assert_eq!(model.table.disks[1].extents, Extents(10), "a part of an extent at the end is not counted");
    assert_eq!(
        model.change.text,
        format!("created with 2 disks, private to n1 ({})", asker(1, 1).machine.node)
    );
    let other = made(|request| request.owner = OwnerAsk::Machine(asker(2, 1).machine)).unwrap();
    assert_eq!(
        (other.container.owner.unwrap().node, other.container.holders.len()),
        (asker(2, 1).machine.node, 0)
    );
    let unclaimed = made(|request| request.owner = OwnerAsk::Unclaimed).unwrap();
    assert_eq!((unclaimed.container.owner, unclaimed.container.holders), (None, vec![]));
    for kind in [ContainerKind::Shared, ContainerKind::Deported] {
        let model = made(|request| request.kind = kind).unwrap();
        assert_eq!((model.container.owner, model.container.holders), (None, vec![]));
    }
}

#[test]
fn a_container_that_cannot_be_is_not_created() {
    says(
        unmade(|r| r.disks.clear()),
        "cannot create container data: no disk was given; nothing was written; name at least one",
        Kind::Usage,
    );
    says(
        unmade(|r| r.extent = Bytes(3)),
        "cannot create container data: an extent of 3 B is not possible, it is a multiple of 1 MiB from 1 MiB to 1 GiB; \
         nothing was written; give another extent size",
        Kind::Usage,
    );
    says(
        unmade(|r| {
            r.owner = OwnerAsk::Machine(Machine { node: crate::base::id::NodeUuid::NONE, name: None })
        }),
        "cannot create container data: the machine that shall own it has no identity; nothing was written; \
         write one to /etc/evms/node, or give evms.node= on the kernel line",
        Kind::Refused,
    );
    says(
        first(|d| d.data_length.0 = 2048),
        "cannot create container data: the new disk 1 (wwid-1) has 1 MiB for data and one extent is 4 MiB; \
         nothing was written; give a larger disk, or a smaller extent at create",
        Kind::Refused,
    );
    let same = "cannot create container data: the new disk 2 (wwid-1) was given twice or belongs to it already; \
                nothing was written; name each disk once, by one path";
    says(unmade(|r| r.disks[1].wwid = "wwid-1".into()), same, Kind::Refused);
    assert!(unmade(|r| r.disks[1].id = r.disks[0].id).0.contains("given twice"));
    assert!(
        made(|r| r.disks.iter_mut().for_each(|disk| disk.wwid.clear())).is_ok(),
        "no WWID is no evidence"
    );
    let changes: [&dyn Fn(&mut NewDisk); 5] = [
        &|d| d.data_start.0 += 1,
        &|d| d.data_start.0 = u64::MAX - 2047,
        &|d| d.wwid = "w".repeat(257),
        &|d| d.id = DiskId::NONE,
        &|d| d.logical_block = 100,
    ];
    for change in changes {
        assert!(first(change).0.contains("has a data area or a WWID that is not possible"));
    }
    let many = unmade(|r| r.disks = (0..257u16).map(|_| new_disk(1, 1)).collect());
    says(
        many,
        "cannot create container data: it would have 257 disks and 256 is the most; nothing was written; \
         make a second container",
        Kind::Refused,
    );
}

#[test]
fn hands_change_once() {
    let model = container(&[10, 10]);
    let n2 = OwnerAsk::Machine(asker(2, 1).machine);
    let given = next(&model, &hand(Some(n2.clone()), None));
    assert_eq!(
        (given.container.owner.clone().unwrap().node, given.container.holders.len()),
        (asker(2, 1).machine.node, 0)
    );
    assert_eq!(given.container.home, given.container.owner);
    already(&given, &hand(Some(n2), None));
    assert_eq!(refused(&given, &hand(None, Some(ContainerKind::Deported))).1, Kind::NotOwner);

    let deported = twice(&model, &hand(None, Some(ContainerKind::Deported)));
    assert_eq!((&deported.container.owner, deported.container.holders.len()), (&None, 0));
    assert_eq!(deported.container.home, model.container.home, "home stays");
    // Anybody imports.
    let Ok(Outcome::Next(planned)) =
        ask_as(&deported, &hand(None, Some(ContainerKind::Private)), &asker(3, 1))
    else {
        panic!("not imported")
    };
    assert_eq!(planned.model.container.holders, [holder(3, 1, 5, false)]);
    assert_eq!(planned.model.container.owner.unwrap().node, asker(3, 1).machine.node);

    let shared = twice(&model, &hand(None, Some(ContainerKind::Shared)));
    assert_eq!(shared.container.holders, [holder(1, 1, 5, false)], "who holds it is admitted");
    let unclaimed = twice(&model, &hand(Some(OwnerAsk::Unclaimed), None));
    assert_eq!((unclaimed.container.owner, unclaimed.container.holders), (None, vec![]));
    assert!(already(&model, &hand(None, Some(ContainerKind::Private))).contains("is private to n1"));
    let named = Request::Modify { owner: None, kind: None, name: Some(name("new")) };
    assert_eq!(twice(&model, &named).change.text, "renamed from data to new");
}

#[test]
fn hands_do_not_change_behind_a_holders_back() {
    let mut shared = next(&container(&[10]), &hand(None, Some(ContainerKind::Shared)));
    shared.container.holders.push(holder(2, 1, 3, false));
    says(
        refused(&shared, &hand(None, Some(ContainerKind::Deported))),
        "cannot modify container data: 1 other machine may still write to it; nothing was written; \
         deactivate it there first",
        Kind::Refused,
    );
    assert!(ask(&shared, &hand(None, Some(ContainerKind::Private))).is_err());
    shared.container.holders[1].expelled = true;
    assert_eq!(
        next(&shared, &hand(None, Some(ContainerKind::Private))).container.holders.len(),
        2,
        "it must learn of it"
    );
    let conflict = hand(Some(OwnerAsk::Unclaimed), Some(ContainerKind::Shared));
    says(
        refused(&shared, &conflict),
        "cannot modify container data: an owner was named and a shared container has none; nothing was written; \
         leave out the owner, or ask for a private container",
        Kind::Usage,
    );
}

#[test]
fn only_who_may_hold_it_may_change_it() {
    let model = container(&[10]);
    let request = make("x", mib(4), None, &[]);
    let node = |n| asker(n, 1).machine.node;
    says(
        told(ask_as(&model, &request, &asker(2, 1)).unwrap_err()),
        &format!(
            "cannot create volume data: it is private to n1 ({}) and this machine is n2 ({}); nothing was written; \
                  ask on the owner, or take it over with 'evms container takeover'",
            node(1),
            node(2)
        ),
        Kind::NotOwner,
    );
    let nobody =
        Asker { machine: Machine { node: crate::base::id::NodeUuid::NONE, name: None }, ..asker(1, 1) };
    assert!(
        told(ask_as(&model, &request, &nobody).unwrap_err())
            .0
            .contains("this machine is one without identity")
    );
    let deported = next(&model, &hand(None, Some(ContainerKind::Deported)));
    for request in [
        request.clone(),
        Request::Expand { disks: vec![] },
        Request::Restore { from: Box::new(model.clone()) },
    ] {
        assert_eq!(refused(&deported, &request).1, Kind::NotOwner);
    }
    says(
        refused(&deported, &request),
        "cannot create volume data: it is deported and nobody may use it; \
         nothing was written; import it first with 'evms container import'",
        Kind::NotOwner,
    );
    let mut expelled = model.clone();
    expelled.container.holders[0].expelled = true;
    says(
        refused(&expelled, &request),
        "cannot create volume data: this machine was expelled from it in this life; \
         nothing was written; restart evmsd, so that the machine joins again",
        Kind::NotOwner,
    );
    assert!(ask_as(&expelled, &request, &asker(1, 2)).is_ok(), "another life of it was not");
    let unclaimed = made(|request| request.owner = OwnerAsk::Unclaimed).unwrap();
    assert!(ask_as(&unclaimed, &request, &asker(7, 1)).is_ok(), "images are built by any machine");
}

#[test]
fn a_model_that_must_not_be_changed_is_not() {
    let mut model = container(&[10]);
    model.read_only = true;
    says(
        refused(&model, &Request::Settle),
        "cannot settle the disks of container data: a newer evms wrote parts of its \
         model that this one must not change; nothing was written; use the newer evms",
        Kind::Damage,
    );
    model.read_only = false;
    let last = Order { generation: Generation(u64::MAX), ..at(1) };
    let end = plan(&model, last, &delete("x"), &asker(1, 1), &mut Dice::from_number(1)).unwrap_err();
    says(
        told(end),
        "cannot delete volume data: its generations are used up; nothing was written; \
         move the data to a new container",
        Kind::Refused,
    );
    model.table.next_number = 0;
    says(
        refused(&model, &delete("x")),
        "cannot delete volume data: its model is damaged: disk 1 has a number that was \
         not given out, the next one is 0; nothing was written; see 'evms check'",
        Kind::Damage,
    );
}

#[test]
fn limits_and_slots_are_refused_with_figures() {
    let mut model = container(&[10]);
    model.container.holders = vec![holder(2, 1, 1, false); 64];
    (0..64).for_each(|nth| model.container.holders[nth].incarnation = Incarnation([nth as u8 + 1; 16]));
    says(
        refused(&model, &make("x", mib(4), None, &[])),
        "cannot create volume data: a limit would be passed: it has 65 \
         holders and 64 is the most; nothing was written; delete what is not needed, or use a second container",
        Kind::Refused,
    );
    model.container.holders[7].expelled = true;
    assert!(ask(&model, &make("x", mib(4), None, &[])).is_ok(), "the longest expelled is forgotten");
    let model = container(&[10]);
    assert!(must_fit(Bytes(8192), &model).unwrap().fits());
    let full = told(must_fit(Bytes(4200), &model).unwrap_err());
    assert!(full.0.starts_with("cannot change container data: its model would need 4."), "{full:?}");
    assert!(full.0.contains(" KiB and its slots hold 4.1 KiB; nothing was written;"), "{full:?}");
}

#[test]
fn the_words_of_a_change_are_cut_to_their_limit() {
    let words = "\u{e4}".repeat(CHANGE_TEXT_BYTES_MAX);
    let odd = format!("x{words}");
    for words in ["", "short", &words, &odd] {
        let text = change(ChangeKind::Change, words, &asker(1, 1)).text;
        assert!(words.starts_with(&text) && text.len() <= CHANGE_TEXT_BYTES_MAX);
        assert!(text.len() + 1 >= words.len().min(CHANGE_TEXT_BYTES_MAX));
    }
}

/// Labels may go only once a majority has heard: until then the old set stands beside it.
#[test]
fn a_deletion_keeps_the_old_set_until_it_is_settled() {
    let model = container(&[10, 10]);
    let deleted = next(&model, &Request::Delete);
    assert_eq!((deleted.container.kind, deleted.container.owner.clone()), (ContainerKind::Deleted, None));
    assert!(deleted.table.old_set.is_some() && !deleted.is_deleted());
    let settled = next(&deleted, &Request::Settle);
    assert!(settled.is_deleted());
    assert_eq!(refused(&settled, &hand(None, Some(ContainerKind::Private))).1, Kind::NotOwner);
}

/// Whose it was, where it belongs, and why it was taken stay to be read; who held it is expelled (safety 3.4).
#[test]
fn a_takeover_keeps_the_home_and_expels_who_held_it() {
    let model = made(|_| ()).unwrap();
    let (owner, taker) = (asker(1, 1).machine, asker(2, 7));
    let request = |from| Request::Takeover { from, words: "taken over from n1: burnt".into(), admit: None };
    let ask = |model: &Model, from, who: &Asker| ask_as(model, &request(from), who);
    let Ok(Outcome::Next(next)) = ask(&model, owner.node, &taker) else { panic!("it is planned") };
    let taken = next.model.container;
    assert_eq!(taken.owner.map(|owner| owner.node), Some(taker.machine.node));
    assert_eq!(taken.home.map(|home| home.node), Some(owner.node));
    assert_eq!(
        taken.holders.iter().map(|holder| (holder.node, holder.expelled)).collect::<Vec<_>>(),
        [(owner.node, true), (taker.machine.node, false)]
    );
    assert_eq!(next.model.change.text, "taken over from n1: burnt");
    // Said by who has it already, and of somebody who has it no more.
    assert!(matches!(ask(&model, asker(2, 1).machine.node, &asker(1, 1)), Ok(Outcome::AlreadySo(_))));
    assert!(ask(&model, asker(3, 1).machine.node, &taker).is_err());
    let mut nobodys = model.clone();
    (nobodys.container.kind, nobodys.container.owner) = (ContainerKind::Deported, None);
    nobodys.container.holders.clear();
    assert!(ask(&nobodys, owner.node, &taker).is_err());
}

/// R1: since when, by whom and on which evidence stands in the model, for as long as there is room; what changes nobody's hands leaves none.
#[test]
fn whoever_gets_it_leaves_a_deed() {
    let mut model = made(|_| ()).unwrap();
    super::super::found(&mut model, at(1));
    let reason = format!("taken over from n1: {}", "r".repeat(300));
    let takeover = Request::Takeover { from: asker(1, 1).machine.node, words: reason.clone(), admit: None };
    for (request, who) in [
        (make("x", mib(4), None, &[]), asker(1, 1)),
        (takeover, asker(2, 7)),
        (hand(None, Some(ContainerKind::Deported)), asker(2, 7)),
        (hand(None, Some(ContainerKind::Private)), asker(3, 3)),
        (Request::Admit { watchdog_ms: 9 }, asker(3, 3)),
        (delete("x"), asker(3, 3)),
    ] {
        let Ok(Outcome::Next(next)) = ask_as(&model, &request, &who) else { panic!("{request:?}") };
        model = next.model;
    }
    let owner = |deed: &Deed| deed.owner.as_ref().map(|owner| owner.node);
    let told = model.deeds.iter().map(|deed| (deed.why, deed.kind, owner(deed))).collect::<Vec<_>>();
    let node = |number| Some(asker(number, 1).machine.node);
    let (given, private) = (ChangeKind::Change, ContainerKind::Private);
    assert_eq!(
        told,
        [
            (ChangeKind::Create, private, node(1)),
            (ChangeKind::Takeover, private, node(2)),
            (given, ContainerKind::Deported, None),
            (given, private, node(3)),
        ]
    );
    assert_eq!(model.deeds[1].text, reason, "and not cut to what a change has room for");
    assert_eq!(deed::broken_at(&model.deeds), None);
    let read = Model::decode(&model.encode().unwrap()).unwrap();
    assert_eq!(read, model);
}
