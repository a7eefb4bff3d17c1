//! What the program prints for programs holds to the schemas kept in the tree.

use serde_json::Value;

use crate::Case;
use crate::lab::Lab;
use crate::schema::problems;

pub const CASES: &[Case] = &[("answers_in_json_hold_to_their_schemas", answers)];

fn holds(lab: &Lab, name: &str, words: &[&str]) -> Value {
    let ran = lab.nodes[0].evms("evms", &[&["--json"], words].concat());
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&ran.stderr));
    let path = format!("{}/tests/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let answer = serde_json::from_str(&text).unwrap();
    let found = problems(&schema, &answer);
    assert!(found.is_empty(), "{words:?}: {found:#?}\n{answer:#}");
    answer
}

fn answers() {
    let mut lab = Lab::new("answers", 3, 2);
    lab.nodes[0].start();
    while lab.nodes[0].status().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let alone = holds(&lab, "status", &["status"]);
    assert_eq!(alone["result"]["quorum"]["quorate"], false);
    lab.nodes[1].start();
    lab.agree(&[0, 1], true);
    holds(&lab, "status", &["status"]);
    holds(&lab, "status", &["--node", "n2", "status"]);
    holds(&lab, "status", &["why"]);
    let nodes = holds(&lab, "nodes", &["list", "nodes"]);
    assert_eq!(nodes["result"].as_array().map(Vec::len), Some(3));
    holds(&lab, "ping", &["node", "ping", "n2", "--bytes", "5000", "--count", "20", "--at-once", "4"]);
    // Who measures is the node that is asked, and no other one by its word.
    let far = lab.nodes[0].evms("evms", &["--node", "n2", "node", "ping", "n1"]);
    assert_eq!(far.status.code(), Some(1), "{}", String::from_utf8_lossy(&far.stderr));
}
