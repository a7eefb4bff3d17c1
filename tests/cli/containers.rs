//! Containers through their lives: made, changed, given away, taken, deleted; each verb twice.

use std::fs;

use crate::bench::{Bench, NODE, OTHER};

fn container(bench: &Bench) -> serde_json::Value {
    bench.json("list containers")["containers"][0].clone()
}

#[test]
fn a_private_container_has_the_owner_that_is_asked_for() {
    for (words, owner) in [
        (format!("--as {NODE} container create data --private"), NODE),
        (format!("--as {NODE} container create data --private --owner me"), NODE),
        (format!("container create data --private --owner {OTHER}"), OTHER),
        ("container create data --private --owner none".to_string(), ""),
        ("container create data --private".to_string(), ""),
    ] {
        let bench = Bench::new(&["a.img", "b.img"]);
        bench.twice(&format!("{words} a.img b.img"));
        let line = container(&bench);
        assert_eq!((&line["kind"], &line["owner"]), (&"private".into(), &owner.into()), "{words}");
        if !owner.is_empty() && owner != NODE {
            bench.refused(
                &format!("--as {NODE} volume create data/x --size 4M"),
                4,
                &["owned by another", owner],
            );
        }
    }
}

#[test]
fn shared_deported_and_template_containers_are_made() {
    for (words, kind) in
        [("--shared", "shared"), ("--deported", "deported"), ("--private --template", "private")]
    {
        let bench = Bench::new(&["a.img"]);
        bench.twice(&format!("container create data {words} a.img"));
        assert_eq!(container(&bench)["kind"], kind);
        assert_eq!(bench.json("info data")["template"], words.contains("template"));
    }
}

#[test]
fn owner_type_and_name_are_modified() {
    let bench = Bench::with_container();
    bench.twice(&format!("container modify data --owner {NODE}"));
    bench.refused("container modify data --name other", 4, &["owned by another machine", NODE]);
    bench.twice(&format!("--as {NODE} container modify data --name other"));
    bench.twice(&format!("--as {NODE} container modify other --owner none"));
    bench.twice("container modify other --type shared");
    bench.twice("container modify other --type deported");
    assert_eq!(
        (container(&bench)["kind"].as_str(), container(&bench)["name"].as_str()),
        (Some("deported"), Some("other"))
    );
    bench.refused("container modify other", 2, &["nothing to modify"]);
    bench.refused("container modify other --owner somebody", 2, &["'somebody' is not this machine's name"]);
    bench.refused("container modify nowhere --name x", 3, &["no container 'nowhere'"]);
}

#[test]
fn a_container_is_given_away_and_taken() {
    let bench = Bench::with_container();
    bench.twice("container deport data");
    bench.refused("volume create data/x --size 1M", 4, &["deported", "evms container import data"]);
    bench.twice(&format!("--as {NODE} container import data"));
    bench.refused(&format!("--as {OTHER} container import data"), 4, &[NODE, OTHER]);
    assert_eq!(container(&bench)["owner"], NODE);
}

#[test]
fn disks_come_and_go() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 3M --on 1");
    bench.twice("container expand data d.img");
    assert_eq!(container(&bench)["disks"], 4);
    bench.refused("container shrink data a.img", 1, &["disk 1 has 3 extents in use, by volume x"]);
    bench.refused("container shrink data gone.img", 3, &["gone.img"]);
    bench.twice("container shrink data b.img d.img");
    bench.already("container shrink data 2");
    let line = bench.json("list disks");
    let states =
        line["disks"].as_array().unwrap().iter().map(|disk| disk["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states, ["member", "free", "member", "free"]);
    assert!(bench.done("check").contains("all is well"));
}

/// A disk that was away while the container was changed is told, and taken back by name.
#[test]
fn a_disk_that_was_away_is_readmitted() {
    let bench = Bench::with_container();
    fs::rename(bench.path("b.img"), bench.path("away")).unwrap();
    let said = bench.done("volume create data/x --size 2M");
    assert!(
        said.contains("note: disk 2 missed this change") && said.contains("container readmit data"),
        "{said}"
    );
    fs::rename(bench.path("away"), bench.path("b.img")).unwrap();
    let said = bench.done("list");
    assert!(said.contains("problem: container data: disk 2 missed generation"), "{said}");
    bench.twice("container readmit data b.img");
    bench.already("container readmit data 2");
    assert!(!bench.done("list").contains("problem"));
    assert!(bench.done("check").contains("all is well"));
}

#[test]
fn an_empty_container_is_deleted() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M");
    bench.refused(
        "container delete data",
        1,
        &["has volumes (x)", "delete them first with 'evms volume delete'"],
    );
    bench.done("volume delete data/x");
    bench.twice("container delete data");
    assert!(bench.done("list containers").contains("no containers"));
    // The disks are free: they can be taken again.
    bench.done("container create new --private a.img b.img c.img");
}

/// One identity twice is refused with both paths; with new ids there are two containers.
#[test]
fn a_clone_gets_ids_of_its_own() {
    let bench = Bench::new(&["a.img", "b.img"]);
    bench.done("container create data --private --extent 1M a.img b.img");
    bench.done("volume create data/fast --size 6M --stripes 2");
    bench.copy("a.img", "a2.img");
    bench.copy("b.img", "b2.img");
    let before = container(&bench);
    assert_eq!(before["state"], "clones");
    bench.refused("volume create data/x --size 1M", 1, &["a.img and a2.img", "--new-ids"]);
    let two = "--disk a2.img --disk b2.img";
    bench.done(&format!("{two} container import data --new-ids"));
    let all = bench.json("list containers");
    let ids = all["containers"].as_array().unwrap().iter().map(|line| line["id"].clone()).collect::<Vec<_>>();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.contains(&before["id"]), "{ids:?}");
    bench.refused("info data", 1, &["several containers are called data"]);
    bench.done(&format!("{two} volume create data/x --size 1M"));
    bench.done("--disk a.img --disk b.img volume create data/y --size 1M");
    bench.done(&format!("{two} container modify data --name copy"));
    assert!(bench.done("check").contains("2 containers on 4 disks checked: all is well"));
}

/// What is copied to many machines gets its ids when it is imported first, once.
#[test]
fn a_template_gets_its_ids_when_it_is_imported() {
    let bench = Bench::new(&["a.img"]);
    bench.done("container create data --private --template a.img");
    let template = container(&bench)["id"].clone();
    bench.twice(&format!("--as {NODE} container import data"));
    assert_ne!(container(&bench)["id"], template);
    assert_eq!(bench.json("info data")["template"], false);
}
