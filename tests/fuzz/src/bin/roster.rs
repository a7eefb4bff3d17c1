//! The text of `/etc/evms.conf`. What is no configuration is refused with a line that exists; what is one is written back with
//! the same meaning, and whether it can work is answered in words.
#![no_main]

use evms::cluster::roster::Roster;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Roster::parse(text) {
        Err(bad) => {
            assert!(!bad.to_string().is_empty() && bad.line >= 1 && bad.line <= text.lines().count() + 1)
        }
        Ok(roster) => {
            let written = roster.to_text();
            let again = Roster::parse(&written).unwrap();
            assert_eq!(again, roster);
            assert_eq!(again.hash(), roster.hash());
            match roster.check() {
                Ok(()) => assert!(roster.members.keys().all(|node| !roster.name_of(*node).is_empty())),
                Err(bad) => assert!(!bad.to_string().is_empty()),
            }
        }
    }
});
