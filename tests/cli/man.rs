//! The pages of `man` are what the program itself says, and nothing else: one for each applet, made of its help. Who changes a help
//! text writes them anew with `EVMS_MAN=write cargo test --test cli man`.

use std::fs;
use std::path::Path;

use crate::help::HELP;
use crate::program::{APPLETS, run};

/// Where they stand.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/man");

/// A text as it stands, in words of roff.
fn as_it_stands(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // What would be an order to the formatter is none.
        if line.starts_with(['.', '\'']) { format!("\\&{line}\n") } else { format!("{line}\n") }
    };
    format!(".nf\n{}.fi\n", text.lines().map(line).collect::<String>())
}

/// What an applet is for, in one line.
fn purpose(applet: &str) -> String {
    let list = run("evms", &["--list", "--json"]).out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let row = list.as_array().unwrap().iter().find(|row| row["name"] == applet).unwrap();
    row["line"].as_str().unwrap().replace('-', "\\-")
}

fn page(applet: &str) -> String {
    let name = applet.replace('-', "\\-");
    let mut page = format!(
        ".\\\" Made of the program's own help: see tests/cli/man.rs.\n.TH {} 8 \"\" \"evms\" \"evms\"\n.SH NAME\n{name} \\- {}\n",
        applet.to_uppercase().replace('-', "\\-"),
        purpose(applet)
    );
    page.push_str(".SH USAGE\n");
    page.push_str(&as_it_stands(&run(applet, &["--help"]).out));
    if applet == "evms" {
        for (verb, help) in HELP {
            page.push_str(&format!(".SH EVMS {}\n", verb.to_uppercase()));
            page.push_str(&as_it_stands(help));
        }
    }
    let others = APPLETS.iter().filter(|other| **other != applet);
    let others = others.map(|other| format!(".BR {} (8)", other.replace('-', "\\-"))).collect::<Vec<_>>();
    page.push_str(&format!(".SH SEE ALSO\n{}\n", others.join(" ,\n")));
    page
}

#[test]
fn man_pages_are_what_the_program_says() {
    for applet in APPLETS {
        let path = Path::new(FOLDER).join(format!("{applet}.8"));
        let wanted = page(applet);
        if std::env::var("EVMS_MAN").is_ok_and(|word| word == "write") {
            fs::create_dir_all(FOLDER).unwrap();
            fs::write(&path, &wanted).unwrap();
        }
        let stands = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            stands,
            wanted,
            "{}: write it anew with: EVMS_MAN=write cargo test --test cli man",
            path.display()
        );
    }
}

/// Each verb that the front page lists has a part of its own.
#[test]
fn every_verb_has_its_part() {
    let page = fs::read_to_string(Path::new(FOLDER).join("evms.8")).unwrap();
    let top = run("evms", &["--help"]).out;
    let listed = top.lines().skip_while(|line| *line != "Verbs:").skip(1).take_while(|line| !line.is_empty());
    for line in listed {
        let verb = line.trim_start().split("  ").next().unwrap();
        // The longest one stands one blank before its line.
        let verb = if verb.starts_with("container takeover") { "container takeover" } else { verb };
        assert!(page.contains(&format!(".SH EVMS {}\n", verb.to_uppercase())), "{verb}");
    }
}
