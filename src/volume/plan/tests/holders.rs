//! Who has gates of a cluster's container, as it says: admitted before the first, withdrawn behind the last, counted out by others.

use super::*;
use crate::base::id::ClusterId;
use crate::format::model::ContainerKind;

/// A container of a cluster, shared or of the first machine, with a volume, and nobody's gates.
fn of_cluster(kind: ContainerKind) -> Model {
    let mut model = next(&container(&[10, 10]), &make("home", mib(4), None, &[]));
    model.container.cluster = ClusterId([3; 16]);
    model.container.kind = kind;
    if kind == ContainerKind::Shared {
        model.container.owner = None;
    }
    model.container.holders.clear();
    model
}

fn by(model: &Model, request: &Request, node: u8, life: u8) -> Model {
    match ask_as(model, request, &asker(node, life)).unwrap() {
        Outcome::Next(planned) => planned.model,
        Outcome::AlreadySo(words) => panic!("already so: {words}"),
    }
}

fn watched(node: u8, life: u8, expelled: bool, watchdog_ms: u32) -> Holder {
    // A container that is made, changed once and asked is of generation 5 (`ask_as`).
    Holder { watchdog_ms, ..holder(node, life, 5, expelled) }
}

const ADMIT: Request = Request::Admit { watchdog_ms: 5000 };

#[test]
fn a_change_alone_admits_nobody() {
    let shared = of_cluster(ContainerKind::Shared);
    for model in [of_cluster(ContainerKind::Private), shared] {
        assert_eq!(next(&model, &make("more", mib(4), None, &[])).container.holders, []);
    }
}

#[test]
fn one_life_of_a_node_is_admitted_at_a_time() {
    let model = twice(&of_cluster(ContainerKind::Shared), &ADMIT);
    assert_eq!(model.container.holders, [watched(1, 1, false, 5000)]);
    let two = by(&model, &Request::Admit { watchdog_ms: 0 }, 2, 1);
    assert_eq!(two.container.holders, [watched(1, 1, false, 5000), watched(2, 1, false, 0)]);
    // Another watchdog, and another life.
    let later = by(&two, &Request::Admit { watchdog_ms: 9000 }, 2, 1);
    assert_eq!(later.container.holders[1], watched(2, 1, false, 9000));
    let reborn = by(&two, &ADMIT, 1, 2);
    assert_eq!(reborn.container.holders, [watched(2, 1, false, 0), watched(1, 2, false, 5000)]);
}

#[test]
fn who_withdraws_is_not_counted_on() {
    let model = of_cluster(ContainerKind::Shared);
    already(&model, &Request::Withdraw);
    let left = twice(&next(&model, &ADMIT), &Request::Withdraw);
    assert_eq!((left.container.holders.as_slice(), left.change.text.contains("left by")), (&[][..], true));
}

/// It learns of it when it returns, and the same life may be admitted again then.
#[test]
fn who_is_counted_out_is_remembered_and_admitted_anew() {
    let model = by(&next(&of_cluster(ContainerKind::Shared), &ADMIT), &ADMIT, 2, 1);
    let expel = Request::Expel { node: asker(2, 1).machine.node, words: "n2 counted out".into() };
    let out = twice(&model, &expel);
    assert_eq!(out.container.holders, [watched(1, 1, false, 5000), watched(2, 1, true, 5000)]);
    assert_eq!((out.change.kind, out.change.text.as_str()), (ChangeKind::Takeover, "n2 counted out"));
    let back = by(&out, &ADMIT, 2, 1);
    assert_eq!(back.container.holders, [watched(1, 1, false, 5000), watched(2, 1, false, 5000)]);
}

#[test]
fn who_takes_it_over_to_bring_it_up_is_admitted_by_that() {
    let model = next(&of_cluster(ContainerKind::Private), &ADMIT);
    let from = asker(1, 1).machine.node;
    let take = |admit| Request::Takeover { from, words: "taken".into(), admit };
    let taken = by(&model, &take(Some(9000)), 2, 1);
    assert_eq!(taken.container.holders, [watched(1, 1, true, 5000), watched(2, 1, false, 9000)]);
    assert_eq!(taken.change.kind, ChangeKind::Takeover);
    assert_eq!(by(&model, &take(None), 2, 1).container.holders, [watched(1, 1, true, 5000)]);
}

/// A table of another node would go on pointing at what is somebody else's by then.
#[test]
fn what_others_have_tables_of_does_not_shrink() {
    let model = by(&of_cluster(ContainerKind::Shared), &ADMIT, 2, 1);
    let name = name("home");
    for request in [
        Request::VolumeDelete { name: name.clone() },
        Request::VolumeRename { name: name.clone(), new: super::name("other") },
        Request::Shrink { disks: vec![DiskNumber(2)] },
    ] {
        let (words, _) = refused(&model, &request);
        assert!(words.contains("1 other machine may still write to it"), "{words}");
        let mut alone = model.clone();
        alone.container.holders.clear();
        if let Err(refusal) = ask(&alone, &request) {
            assert!(!refusal.to_string().contains("may still write"), "{refusal}");
        }
    }
    next(&model, &make("more", mib(4), None, &[]));
}

/// Safety 4.4: it stands in the model, whoever takes the container finds it so, and says nothing of who has gates.
#[test]
fn what_an_administrator_suspended_stays_so_for_whoever_has_it() {
    let model = next(&of_cluster(ContainerKind::Shared), &ADMIT);
    already(&model, &Request::Suspend { is: false });
    let suspended = twice(&model, &Request::Suspend { is: true });
    assert!(suspended.container.suspended);
    assert_eq!(suspended.container.holders, model.container.holders);
    assert!(by(&suspended, &ADMIT, 2, 1).container.suspended);
    let (words, kind) = refused(&suspended, &grow("home", Resize::To(mib(12))));
    assert!(words.contains("an administrator suspended it") && kind == Kind::Refused, "{words}");
    assert!(!twice(&suspended, &Request::Suspend { is: false }).container.suspended);
}

/// Safety 2.8: it is the importing one's from then on, and nobody whom the first cluster counted out, or who belongs there, is kept.
#[test]
fn what_was_deported_comes_over_to_who_imports_it() {
    let mut model = next(&of_cluster(ContainerKind::Private), &ADMIT);
    model.container.holders = vec![watched(2, 1, true, 0)];
    (model.container.kind, model.container.owner) = (ContainerKind::Deported, None);
    let import = Request::Modify { owner: None, kind: Some(ContainerKind::Private), name: None };
    for cluster in [ClusterId([4; 16]), ClusterId([5; 16])] {
        let came = match ask_as(&model, &import, &Asker { cluster, ..asker(3, 1) }).unwrap() {
            Outcome::Next(planned) => planned.model.container,
            Outcome::AlreadySo(words) => panic!("{words}"),
        };
        let node = asker(3, 1).machine.node;
        let owned = |owner: &Option<crate::format::model::Owner>| owner.as_ref().map(|owner| owner.node);
        assert_eq!((came.cluster, owned(&came.owner), owned(&came.home)), (cluster, Some(node), Some(node)));
        assert!(came.holders.iter().all(|holder| holder.node == node), "{:?}", came.holders);
    }
    // Within its cluster it is as before.
    let ours = Asker { cluster: model.container.cluster, ..asker(3, 1) };
    match ask_as(&model, &import, &ours).unwrap() {
        Outcome::Next(planned) => assert_eq!(planned.model.container.holders[0], watched(2, 1, true, 0)),
        Outcome::AlreadySo(words) => panic!("{words}"),
    }
}
