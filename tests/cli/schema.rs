//! A validator for the part of JSON Schema (draft 2020-12) that our schemas use. A keyword that it does not know is
//! a problem, so that no rule is believed to be checked and is not.

use serde_json::Value;

/// What does not hold, one sentence each.
pub fn problems(schema: &Value, answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, answer, "$", &mut found);
    found
}

const ABOUT: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else { return found.push(format!("{at}: the schema is no object")) };
    for (keyword, rule) in rules.iter().filter(|(keyword, _)| !ABOUT.contains(&keyword.as_str())) {
        match keyword.as_str() {
            "$ref" => check(root, target(root, rule), value, at, found),
            "properties" | "required" | "additionalProperties" => {
                of_object(root, keyword, rules, value, at, found)
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{place}]"), found);
                }
            }
            "oneOf" => {
                let fits = |one: &&Value| {
                    let mut inner = Vec::new();
                    check(root, one, value, at, &mut inner);
                    inner.is_empty()
                };
                let fitting = rule.as_array().unwrap().iter().filter(fits).count();
                require(fitting == 1, at, format!("fits {fitting} of the choices"), found);
            }
            keyword => {
                let holds = simple(keyword, rule, value);
                let word = if holds.is_none() { "a keyword that is not known" } else { "does not hold" };
                require(holds == Some(true), at, format!("{keyword} {rule}: {word}: {value}"), found);
            }
        }
    }
}

fn require(holds: bool, at: &str, why: String, found: &mut Vec<String>) {
    if !holds {
        found.push(format!("{at}: {why}"));
    }
}

fn target<'a>(root: &'a Value, reference: &Value) -> &'a Value {
    let path =
        reference.as_str().and_then(|text| text.strip_prefix('#')).expect("references stay in their file");
    root.pointer(path).unwrap_or_else(|| panic!("no {path} in the schema"))
}

fn of_object(
    root: &Value,
    keyword: &str,
    rules: &serde_json::Map<String, Value>,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    let Some(object) = value.as_object() else { return };
    match keyword {
        "properties" => {
            for (name, rule) in rules[keyword].as_object().unwrap() {
                if let Some(value) = object.get(name) {
                    check(root, rule, value, &format!("{at}.{name}"), found);
                }
            }
        }
        "required" => {
            for name in rules[keyword].as_array().unwrap() {
                require(object.contains_key(name.as_str().unwrap()), at, format!("{name} is missing"), found);
            }
        }
        _ => {
            assert_eq!(rules[keyword], false, "additionalProperties is false or absent");
            for name in object.keys().filter(|name| rules["properties"].get(name.as_str()).is_none()) {
                found.push(format!("{at}: {name} is not in the schema"));
            }
        }
    }
}

fn simple(keyword: &str, rule: &Value, value: &Value) -> Option<bool> {
    Some(match keyword {
        "type" => match rule.as_str()? {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            _ => return None,
        },
        "const" => rule == value,
        "enum" => rule.as_array()?.contains(value),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap_or(f64::NAN)),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap_or(f64::NAN)),
        "minLength" => {
            value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap_or(u64::MAX))
        }
        "minItems" => {
            value.as_array().is_none_or(|all| all.len() as u64 >= rule.as_u64().unwrap_or(u64::MAX))
        }
        "maxItems" => value.as_array().is_none_or(|all| all.len() as u64 <= rule.as_u64().unwrap_or(0)),
        _ => return None,
    })
}
