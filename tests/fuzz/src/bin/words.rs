//! What people type: sizes, names, volume paths. A word is refused or understood, never a panic; and what was
//! understood is understood again when it is printed.
#![no_main]

use evms::base::name::{Name, VolumePath};
use evms::base::size::{Resize, Size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|word: &str| {
    match Size::parse(word) {
        Ok(Size::Exactly(bytes)) => assert!(bytes.0 > 0 && bytes.0 % 512 == 0),
        Ok(Size::PercentFree(share)) => assert!((1..=100).contains(&share)),
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
    if let Err(bad) = Resize::parse(word) {
        assert!(!bad.to_string().is_empty());
    }
    match Name::parse(word) {
        Ok(name) => assert_eq!(name.as_str(), word),
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
    if let Ok(path) = VolumePath::parse(word) {
        assert_eq!(VolumePath::parse(&path.to_string()), Ok(path));
    }
});
