//! A reader of sections that knows nothing but the tables of FORMAT.md: it walks bytes by the types that are named there.

use crate::tables;

/// What is left of a section.
pub struct Walk<'a> {
    pub rest: &'a [u8],
    /// What was read, one line a field, for comparison with the values.
    pub said: Vec<String>,
}

impl Walk<'_> {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let (head, rest) = self.rest.split_at_checked(count).expect("the section is shorter than its table");
        self.rest = rest;
        head.to_vec()
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn say(&mut self, field: &str, value: String) {
        self.said.push(format!("{field} {value}"));
    }

    /// Reads one value of a type, as the table of `field` names it.
    pub fn read(&mut self, field: &str, kind: &str) {
        if let Some(inner) = kind.strip_prefix("option of ") {
            match self.take(1)[0] {
                0 => self.say(field, "none".into()),
                1 => self.read(field, inner),
                other => panic!("{field}: an option of {other}"),
            }
        } else if let Some(inner) = kind.strip_prefix("list of ") {
            let (inner, most) = inner.split_once(", most ").expect("a list has a maximum");
            let count = self.varint();
            assert!(count <= most.parse().unwrap(), "{field}");
            self.say(field, format!("x{count}"));
            (0..count).for_each(|_| self.read(field, inner));
        } else {
            self.word(field, kind);
        }
    }

    fn word(&mut self, field: &str, kind: &str) {
        match kind {
            "u16" | "u32" | "u64" => {
                let value = self.varint();
                self.say(field, value.to_string());
            }
            "bool" => {
                let value = self.take(1)[0];
                assert!(value < 2);
                self.say(field, value.to_string());
            }
            "16 bytes" => {
                let bytes = self.take(16);
                self.say(field, hex(&bytes));
            }
            "text" | "name" => {
                let length = self.varint() as usize;
                let text = String::from_utf8(self.take(length)).unwrap();
                self.say(field, text);
            }
            "bytes" => {
                let length = self.varint() as usize;
                let bytes = self.take(length);
                self.say(field, hex(&bytes));
            }
            other if tables::names("variants").contains(&other) => self.variant(field, other),
            other => self.fields(other),
        }
    }

    fn variant(&mut self, field: &str, name: &str) {
        let number = self.varint().to_string();
        let table = tables::find(&format!("variants: {name}"));
        let row = table.iter().find(|row| row[0] == number).expect("a variant that the table does not have");
        self.say(field, row[1].into());
        if !row[2].is_empty() {
            self.read(row[1], row[2]);
        }
    }

    /// Reads all fields of a table.
    pub fn fields(&mut self, name: &str) {
        for row in tables::find(&format!("fields: {name}")) {
            self.read(row[0], row[1]);
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
