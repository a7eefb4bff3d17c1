//! Tests: identities read from files as they are found on real machines, and as they should not be.

use super::*;
use std::sync::{Arc, Barrier};

const UUID: &str = "6f1d2c3b-4a59-4687-9192-a3b4c5d6e7f8";
const OTHER: &str = "11111111-4a59-4687-9192-a3b4c5d6e7f8";

/// A directory that goes away with the test.
struct Room(PathBuf);

impl Room {
    fn new() -> Room {
        let name = format!("evms-identity-{:016x}", crate::host::entropy::dice().unwrap().number());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Room(path)
    }

    fn files(&self, kernel_line: &str, node: Option<&str>) -> IdentityFiles {
        fs::write(self.0.join("cmdline"), kernel_line).unwrap();
        if let Some(text) = node {
            fs::write(self.0.join("node"), text).unwrap();
        }
        let at = |name| self.0.join(name);
        IdentityFiles { kernel_line: at("cmdline"), node: at("node"), boot_id: at("boot_id") }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn node(kernel_line: &str, file: Option<&str>) -> Result<Option<String>, IdentityError> {
    node_uuid(&Room::new().files(kernel_line, file)).map(|found| found.map(|uuid| uuid.to_string()))
}

#[test]
fn the_kernel_line_comes_first_then_the_file_then_nobody() {
    let line = format!("root=/dev/sda1 evms.node={UUID} quiet\n");
    assert_eq!(node(&line, Some(OTHER)), Ok(Some(UUID.into())));
    assert_eq!(node(&format!("\"evms.node={UUID}\""), None), Ok(Some(UUID.into())));
    assert_eq!(node(&format!("evms.node={UUID} evms.node={UUID}"), None), Ok(Some(UUID.into())));
    assert_eq!(node("quiet xevms.node=1", Some(&format!("{OTHER}\n"))), Ok(Some(OTHER.into())));
    assert_eq!(node("quiet", None), Ok(None));
    let files = IdentityFiles { kernel_line: "/nonexistent/cmdline".into(), ..Room::new().files("", None) };
    assert_eq!(node_uuid(&files), Ok(None));
}

#[test]
fn what_is_malformed_is_refused_and_never_guessed() {
    let nil = "00000000-0000-0000-0000-000000000000";
    for text in ["", "\n", "node1", nil, &UUID[1..], &format!("{{{UUID}}}"), &format!("{UUID}\n{OTHER}\n")] {
        assert!(matches!(node("quiet", Some(text)), Err(IdentityError::Malformed { .. })), "{text:?}");
    }
    assert!(matches!(node("evms.node=", Some(UUID)), Err(IdentityError::Malformed { .. })));
    let both = node(&format!("evms.node={UUID} evms.node={OTHER}"), None);
    assert!(matches!(both, Err(IdentityError::Ambiguous { .. })));
    let room = Room::new();
    let files = IdentityFiles { node: room.0.clone(), ..room.files("", None) };
    assert!(matches!(node_uuid(&files), Err(IdentityError::Io { errno: Errno::EISDIR, .. })));
}

#[test]
fn a_node_file_is_made_once() {
    let room = Room::new();
    let path = room.0.join("etc/evms/node");
    let Made::New(uuid) = make_node_file(&path, &mut Dice::from_number(1)).unwrap() else { panic!() };
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{uuid}\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(make_node_file(&path, &mut Dice::from_number(2)), Ok(Made::AlreadySo(uuid)));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    fs::write(&path, "garbage").unwrap();
    assert!(make_node_file(&path, &mut Dice::from_number(3)).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "garbage");
}

#[test]
fn of_many_who_make_one_at_once_all_get_the_same() {
    let room = Room::new();
    let path = room.0.join("node");
    let start = Arc::new(Barrier::new(8));
    let makers: Vec<_> = (0..8u64)
        .map(|number| {
            let (path, start) = (path.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                make_node_file(&path, &mut Dice::from_number(number)).unwrap()
            })
        })
        .collect();
    let made: Vec<Made> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
    assert_eq!(made.iter().filter(|made| matches!(made, Made::New(_))).count(), 1);
    let ids = made.iter().map(|(Made::New(uuid) | Made::AlreadySo(uuid))| *uuid);
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 1);
    assert_eq!(fs::read_dir(&room.0).unwrap().count(), 1);
}

#[test]
fn boot_id_and_host_name_come_from_the_kernel() {
    let files = IdentityFiles::default();
    assert_eq!(boot_id(&files).unwrap(), boot_id(&files).unwrap());
    let nowhere = IdentityFiles { boot_id: "/nonexistent".into(), ..files };
    assert!(matches!(boot_id(&nowhere), Err(IdentityError::Io { errno: Errno::ENOENT, .. })));
    let _ = host_name();
}
