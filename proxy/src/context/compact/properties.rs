//! Claims about all definitions, checked by a validator that knows nothing of us: a shortened schema accepts what the
//! original accepts, and refuses what it refuses.

use super::compact;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A small generator of numbers; the same seed gives the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// The recorded definitions of real servers, as they wrote them.
fn recorded() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/context/recorded");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    files.sort();
    let mut tools = Vec::new();
    for file in files {
        let list: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        tools.extend(list["tools"].as_array().unwrap().iter().map(Value::to_string));
    }
    assert!(tools.len() > 400);
    tools
}

fn schema_of(raw: &str) -> Value {
    serde_json::from_str::<Value>(raw).unwrap()["inputSchema"].take()
}

fn validator(schema: &Value) -> jsonschema::Validator {
    let draft = match schema.get("$schema").and_then(Value::as_str) {
        Some(name) if name.contains("draft-07") => jsonschema::Draft::Draft7,
        _ => jsonschema::Draft::Draft202012,
    };
    jsonschema::options().with_draft(draft).should_validate_formats(true).build(schema).unwrap()
}

/// A value that the schema accepts, as far as this can be told at a glance; and sometimes it is slightly wrong.
struct Values<'a> {
    random: &'a mut Random,
    root: &'a Value,
    /// One in so many places is wrong.
    wrong: usize,
}

impl Values<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > 12 || self.random.one_in(self.wrong) {
            return self.anything();
        }
        let Some(members) = schema.as_object() else { return self.anything() };
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return target.map_or(Value::Null, |target| self.value(&target, depth + 1));
        }
        if let Some(value) = members.get("const") {
            return value.clone();
        }
        if let Some(values) =
            members.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty())
        {
            return self.random.of(values).clone();
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(branches) = members.get(key).and_then(Value::as_array).filter(|all| !all.is_empty()) {
                let chosen = self.random.of(branches).clone();
                let value = self.value(&chosen, depth + 1);
                // What stands beside the alternatives counts too.
                if let (Some(own), true) = (value.as_object(), members.contains_key("properties")) {
                    let mut rest = members.clone();
                    rest.remove(key);
                    let mut both = self.value(&Value::Object(rest), depth + 1);
                    if let Some(both) = both.as_object_mut() {
                        both.extend(own.clone());
                    }
                    return both;
                }
                return value;
            }
        }
        let name = match members.get("type") {
            Some(Value::String(name)) => name.clone(),
            Some(Value::Array(names)) => self.random.of(names).as_str().unwrap_or("null").to_owned(),
            _ if members.contains_key("properties") => "object".to_owned(),
            _ => return self.anything(),
        };
        self.of_type(&name, members, depth)
    }

    fn of_type(&mut self, name: &str, schema: &Map<String, Value>, depth: usize) -> Value {
        let count = |key: &str| schema.get(key).and_then(Value::as_u64).map(size);
        match name {
            "object" => self.object(schema, depth),
            "array" => {
                let least = count("minItems").unwrap_or(0);
                let spread = count("maxItems").unwrap_or(least + 2).saturating_sub(least).min(3) + 1;
                let length = least + self.random.below(spread);
                let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
                (0..length).map(|_| self.value(&items, depth + 1)).collect()
            }
            "string" => self.string(schema),
            "integer" | "number" => {
                let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
                let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|least| least + 1.0));
                let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|most| most - 1.0));
                let value = match (least, most) {
                    (Some(least), _) if !self.random.one_in(3) => least,
                    (_, Some(most)) => most,
                    (Some(least), None) => least + self.random.below(9) as f64,
                    (None, None) => self.random.below(99) as f64,
                };
                // At the edge, and just beyond it.
                let beyond = [0.0, 0.0, 0.0, 1.0, -1.0, 0.5]
                    [if self.random.one_in(self.wrong) { self.random.below(6) } else { 0 }];
                let value = value + beyond;
                // Written as an integer if it is one.
                if value.fract() == 0.0 && value.abs() < 1e18 {
                    serde_json::from_str(&format!("{value:.0}")).unwrap()
                } else {
                    json!(value)
                }
            }
            "boolean" => json!(self.random.one_in(2)),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let mut object = Map::new();
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let wanted = required.iter().any(|known| known == name);
            let here = if wanted { !self.random.one_in(self.wrong) } else { self.random.one_in(2 + depth) };
            if here {
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        if self.random.one_in(self.wrong) {
            let name = *self.random.of(&["extra", "title", "default", "$schema", "", "1"]);
            let value = match schema.get("additionalProperties") {
                Some(more) if !self.random.one_in(3) => self.value(&more.clone(), depth + 1),
                _ => self.anything(),
            };
            object.insert(name.to_owned(), value);
        }
        Value::Object(object)
    }

    fn string(&mut self, schema: &Map<String, Value>) -> Value {
        let text = match schema.get("format").and_then(Value::as_str) {
            Some("uuid") => "123e4567-e89b-12d3-a456-426614174000",
            Some("uri") => "https://example.org/a",
            Some("date-time") => "2026-01-02T03:04:05Z",
            Some("date") => "2026-01-02",
            _ => *self.random.of(&[
                "",
                "a",
                "abc",
                "A-1",
                "2026",
                "/a/b",
                "https://example.org/x",
                "abcdefghijklmnopqrstuvwxyz",
            ]),
        };
        let least = schema.get("minLength").and_then(Value::as_u64).map_or(0, size);
        let mut text = text.to_owned();
        while text.len() < least && !self.random.one_in(self.wrong) {
            text.push('1');
        }
        if let Some(most) = schema.get("maxLength").and_then(Value::as_u64)
            && !self.random.one_in(self.wrong)
        {
            text.truncate(size(most));
        }
        Value::String(text)
    }

    fn anything(&mut self) -> Value {
        let values = [
            Value::Null,
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!(9_007_199_254_740_992_i64),
            json!(""),
            json!("x"),
            json!([]),
            json!([null]),
            json!(["a", 1]),
            json!({}),
            json!({"a": 1}),
            json!({"type": "text"}),
        ];
        self.random.of(&values).clone()
    }
}

/// How many values both schemas accepted and refused.
#[derive(Default, Debug)]
struct Counts {
    valid: usize,
    invalid: usize,
}

fn compare(original: &Value, shortened: &Value, random: &mut Random, times: usize, counts: &mut Counts) {
    let (before, after) = (validator(original), validator(shortened));
    for at in 0..times {
        // A third is meant to be right, and each other one to have a mistake or a few.
        let wrong = if at % 3 == 0 { 1_000_000 } else { 3 + random.below(20) };
        let value = Values { random, root: original, wrong }.value(original, 0);
        let valid = before.is_valid(&value);
        assert_eq!(valid, after.is_valid(&value), "{value}\n{original}\n{shortened}");
        *(if valid { &mut counts.valid } else { &mut counts.invalid }) += 1;
    }
}

#[test]
fn recorded_tools_accept_the_same_arguments_as_before() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut counts = Counts::default();
    for raw in recorded() {
        let shortened = compact(&raw).unwrap();
        compare(&schema_of(&raw), &schema_of(&shortened), &mut random, 60, &mut counts);
    }
    assert!(counts.valid > 8000 && counts.invalid > 8000, "{counts:?}");
}

#[test]
fn invented_schemas_accept_the_same_values_as_before() {
    let mut random = Random(0x0dd_ba11);
    let mut counts = Counts::default();
    let mut changed = 0;
    for _ in 0..1500 {
        let schema = invent_root(&mut random);
        let shortened =
            schema_of(&compact(&json!({"name": "x", "inputSchema": schema}).to_string()).unwrap());
        changed += usize::from(schema != shortened);
        compare(&schema, &shortened, &mut random, 12, &mut counts);
    }
    assert!(changed > 1200 && counts.valid > 2000 && counts.invalid > 2000, "{changed} {counts:?}");
}

#[test]
fn what_is_short_stays_as_it_is_and_nothing_grows() {
    for raw in recorded() {
        let once = compact(&raw).unwrap();
        assert!(once.len() <= raw.len(), "{raw}");
        assert_eq!(compact(&once).unwrap(), once);
    }
}

/// Names of properties that are keywords elsewhere.
const NAMES: [&str; 10] =
    ["title", "default", "$schema", "enum", "type", "properties", "a", "required", "description", "examples"];

fn invent_root(random: &mut Random) -> Value {
    let mut schema = json!({"type": "object", "properties": {}});
    for _ in 0..1 + random.below(4) {
        let name = *random.of(&NAMES);
        schema["properties"][name] = invent(random, 0);
        if random.one_in(2) {
            schema["required"] = json!([name]);
        }
    }
    if random.one_in(2) {
        schema["additionalProperties"] = json!(false);
    }
    if random.one_in(3) {
        schema["$schema"] = json!(*random.of(&[
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2020-12/schema"
        ]));
    }
    let place = *random.of(&["$defs", "definitions"]);
    if random.one_in(2) {
        schema[place] = json!({"t": invent(random, 2), "u": {"type": "array", "items": {"$ref": format!("#/{place}/t")}}});
        for name in ["r", "s", "v"].iter().take(random.below(4)) {
            let mut reference = json!({"$ref": format!("#/{place}/{}", random.of(&["t", "u"]))});
            if random.one_in(3) {
                reference["description"] = json!("What it refers to.");
            }
            if random.one_in(12) {
                reference["type"] = json!("string");
            }
            schema["properties"][*name] = reference;
        }
    }
    schema
}

fn invent(random: &mut Random, depth: usize) -> Value {
    let leaf = depth > 2;
    let mut schema = match random.below(if leaf { 8 } else { 17 }) {
        0 => json!({"type": "string", "minLength": random.below(3), "maxLength": 4 + random.below(9)}),
        1 => json!({"type": "integer", "minimum": random.below(3), "maximum": 9_007_199_254_740_991_i64}),
        2 => json!({"type": "number", "exclusiveMinimum": random.below(2)}),
        3 => json!({"type": ["boolean"]}),
        4 => json!({"type": "string", "enum": ["a", "abc"]}),
        5 => json!({"type": *random.of(&["integer", "string", "null"]), "enum": [1, "a", null]}),
        6 => json!({"type": *random.of(&["string", "number"]), "const": *random.of(&["a", "b"])}),
        7 => random
            .of(&[
                json!(true),
                json!({}),
                json!({"type": "null"}),
                json!({"default": {"title": "x"}}),
                json!(false),
            ])
            .clone(),
        8 => {
            json!({"type": "array", "items": invent(random, depth + 1), "minItems": random.below(2), "uniqueItems": random.one_in(2)})
        }
        9 => json!({"anyOf": [invent(random, depth + 1), {"type": "null"}]}),
        10 => json!({"oneOf": [{"type": "null"}, invent(random, depth + 1)], "title": "Title"}),
        11 => json!({"allOf": [invent(random, depth + 1)]}),
        12 => json!({"oneOf": [{"const": "a"}, {"type": "string", "const": *random.of(&["a", "b"])}]}),
        13 => {
            json!({"anyOf": [{"type": "integer"}, {"type": *random.of(&["number", "string"])}], "default": 1})
        }
        14 => {
            json!({"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": invent(random, depth + 1)})
        }
        15 => json!({"not": invent(random, depth + 1)}),
        _ => {
            let name = *random.of(&NAMES);
            let twin = invent(random, depth + 1);
            json!({"type": "object", "required": [], "additionalProperties": random.one_in(2),
                   "properties": {name: twin, "other": twin, "third": {"type": "array", "items": twin}}})
        }
    };
    if let Some(members) = schema.as_object_mut() {
        let notes = [
            ("title", json!("Words of its own")),
            ("examples", json!([1])),
            ("$comment", json!("c")),
            ("description", json!("It says. And it says more, by default 1.")),
            ("deprecated", json!(false)),
            ("default", json!(null)),
            ("format", json!("uri")),
            ("x-unknown", json!({"title": "y"})),
        ];
        for (key, value) in notes {
            if random.one_in(6) {
                members.insert(key.to_owned(), value);
            }
        }
    }
    schema
}
