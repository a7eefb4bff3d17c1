//! The library on real image files, from looking to commit: the thinnest path end to end.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use evms::base::name::{Name, VolumePath};
use evms::base::size::{Resize, Size};
use evms::base::units::{Bytes, MIB};
use evms::format::model::ContainerKind;
use evms::run::container::CreateAsk;
use evms::run::context::{Context, Options};
use evms::run::report::ListWhat;
use evms::run::take::Taking;
use evms::run::volume::VolumeAsk;

struct Bench {
    dir: PathBuf,
    images: Vec<PathBuf>,
}

impl Bench {
    fn new(name: &str, count: usize) -> Bench {
        let dir = std::env::temp_dir().join(format!("evms-images-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let images = (0..count).map(|nth| dir.join(format!("{nth}.img"))).collect::<Vec<_>>();
        for image in &images {
            std::fs::File::create(image).unwrap().set_len(64 * MIB).unwrap();
        }
        Bench { dir, images }
    }

    fn context(&self) -> Context {
        Context::new(Options { disks: self.images.clone(), ..Options::default() }).unwrap()
    }

    fn create(&self, disks: usize) {
        let ask = CreateAsk {
            name: Name::parse("data").unwrap(),
            kind: ContainerKind::Private,
            owner: None,
            template: false,
            extent: Bytes(4 * MIB),
            taking: Taking::default(),
            disks: self.images[..disks].to_vec(),
        };
        let done = self.context().container_create(&ask).unwrap();
        assert!(!done.already_so, "{done:?}");
        assert!(self.context().container_create(&ask).unwrap().already_so);
    }

    fn volume(&self, name: &str, stripes: Option<u16>) {
        let path = VolumePath::parse(&format!("data/{name}")).unwrap();
        let size = Size::Exactly(Bytes(20 * MIB));
        let ask = VolumeAsk { path, size, stripes, stripe_bytes: None, on: Vec::new() };
        let done = self.context().volume_create(&ask).unwrap();
        assert!(!done.already_so, "{done:?}");
        assert!(self.context().volume_create(&ask).unwrap().already_so);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_container_lives_its_life_on_images() {
    let bench = Bench::new("life", 4);
    bench.create(3);
    bench.volume("home", None);
    bench.volume("fast", Some(3));
    let done = bench.context().container_expand("data", &bench.images[3..], &Taking::default()).unwrap();
    assert_eq!(done.notes, Vec::<String>::new());
    let listing = bench.context().list(ListWhat::Overview).unwrap();
    let line = &listing.containers[0];
    assert_eq!((line.disks, line.disks_here, line.volumes, line.state), (4, 4, 2, "committed"), "{line:?}");
    assert_eq!(line.problems, Vec::<String>::new());
    let grown = bench.context().volume_expand(
        &VolumePath::parse("data/home").unwrap(),
        Resize::parse("+8M").unwrap(),
        &[],
    );
    assert!(grown.unwrap().done.contains("28 MiB"));
    bench.context().volume_delete(&VolumePath::parse("data/fast").unwrap()).unwrap();
    bench.context().container_shrink("data", &["2".into()]).unwrap();
    let report = bench.context().check(&[], false).unwrap();
    assert_eq!(report.findings, Vec::new());
    let history = bench.context().history("data", None).unwrap();
    assert!(history.models.iter().any(|model| model.words.contains("fast")), "{history:?}");
}

#[test]
fn a_disk_that_missed_a_change_is_told_and_taken_back() {
    let bench = Bench::new("stale", 3);
    bench.create(3);
    let away = bench.dir.join("away.img");
    std::fs::rename(&bench.images[2], &away).unwrap();
    let two = Options { disks: bench.images[..2].to_vec(), ..Options::default() };
    let path = VolumePath::parse("data/home").unwrap();
    let size = Size::Exactly(Bytes(20 * MIB));
    let ask = VolumeAsk { path, size, stripes: None, stripe_bytes: None, on: Vec::new() };
    let done = Context::new(two).unwrap().volume_create(&ask).unwrap();
    assert!(done.notes.iter().any(|note| note.contains("readmit")), "{done:?}");
    std::fs::rename(&away, &bench.images[2]).unwrap();
    let listing = bench.context().list(ListWhat::Containers).unwrap();
    assert!(
        listing.containers[0].problems.iter().any(|words| words.contains("container readmit data 3")),
        "{listing:?}"
    );
    bench.context().container_readmit("data", &["3".into()]).unwrap();
    let listing = bench.context().list(ListWhat::Containers).unwrap();
    assert_eq!(listing.containers[0].problems, Vec::<String>::new());
    // One disk alone is no majority of three.
    let one = Options { disks: bench.images[..1].to_vec(), ..Options::default() };
    let refused = Context::new(one).unwrap().volume_delete(&ask.path).unwrap_err();
    assert!(refused.to_string().contains("1 of the 2 votes"), "{refused}");
}

#[test]
fn a_clone_is_refused_until_it_has_new_ids() {
    let bench = Bench::new("clone", 2);
    bench.create(2);
    bench.volume("home", None);
    let copies = bench.images.iter().map(|image| image.with_extension("copy")).collect::<Vec<_>>();
    for (image, copy) in bench.images.iter().zip(&copies) {
        std::fs::copy(image, copy).unwrap();
    }
    let all = [bench.images.clone(), copies.clone()].concat();
    let everything = || Context::new(Options { disks: all.clone(), ..Options::default() }).unwrap();
    let refused = everything().container_deport("data").unwrap_err().to_string();
    assert!(refused.contains("0.img") && refused.contains("0.copy"), "{refused}");
    let mut alone = Context::new(Options { disks: copies, ..Options::default() }).unwrap();
    alone.container_new_ids("data").unwrap();
    let listing = everything().list(ListWhat::Overview).unwrap();
    assert_eq!(listing.containers.len(), 2);
    assert!(
        listing.containers.iter().all(|line| line.problems.is_empty() && line.volumes == 1),
        "{listing:?}"
    );
    let refused = everything().container_deport("data").unwrap_err().to_string();
    assert!(refused.contains("several containers"), "{refused}");
}
