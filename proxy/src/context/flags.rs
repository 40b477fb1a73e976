//! What is odd about the tools a server lists. Told to who runs it, and changes nothing: every tool is listed and
//! called as its server wrote it.
//!
//! Reading order: this file, [`hidden`] (characters nobody sees), [`speech`] (text for the model), [`schema`].

pub mod hidden;
pub mod schema;
pub mod speech;

use crate::context::definition::Definition;
use crate::core::listing::Item;
use crate::limits::{
    FLAG_QUOTED_BYTES_MAX, FLAGGED_DEFINITION_BYTES, FLAGGED_DESCRIPTION_BYTES, FLAGGED_TOOLS,
    FLAGS_SHOWN_MAX, LOOKED_INTO_BYTES_MAX, SCHEMA_DEPTH_MAX,
};
use crate::mcp::object::cut;
use only1mcp_policy::printable::printable;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// What is odd about one server's tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// How much.
    pub total: usize,
    /// The gravest, at most [`FLAGS_SHOWN_MAX`].
    pub shown: Vec<Flag>,
}

/// One thing that is odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// The tool's name, safe to show; empty if it is about the whole list.
    pub tool: String,
    /// What it is.
    #[serde(serialize_with = "as_text")]
    pub what: FlagKind,
}

/// The kinds. Texts in them are safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// Text that tells the model what to do instead of what the tool does.
    Speaks(String),
    /// A character that nobody sees.
    Hidden {
        /// Where it is.
        place: Place,
        /// The first of them.
        character: char,
    },
    /// A definition too long to be looked into: its bytes.
    NotLookedInto(usize),
    /// A definition that is JSON, but with a number or text that cannot be read.
    Unreadable,
    /// A schema that refers to what is not in it.
    Elsewhere(String),
    /// A name once more.
    Twice,
    /// Entries that are not listed, for they have no name, or a member twice.
    LeftOut(usize),
    /// No schema of its arguments.
    NoSchema,
    /// A schema that is not one of an object.
    NotOfAnObject,
    /// A schema that is nested deeper than [`SCHEMA_DEPTH_MAX`].
    Deep,
    /// A long definition: its bytes.
    LongDefinition(usize),
    /// A long description: its bytes.
    LongDescription(usize),
    /// Many tools: how many.
    Many(usize),
    /// A schema that refers to itself.
    Cyclic,
}

/// Where in a definition something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its name, or a parameter's.
    Name,
    /// In its title, or a parameter's.
    Title,
    /// In its description, or a parameter's.
    Description,
}

impl Place {
    /// Of the value of this member.
    fn of(key: &str) -> Option<Self> {
        match key {
            "name" => Some(Self::Name),
            "title" => Some(Self::Title),
            "description" => Some(Self::Description),
            _ => None,
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::Name => "a name",
            Self::Title => "a title",
            Self::Description => "a description",
        }
    }
}

impl fmt::Display for FlagKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Speaks(said) => write!(f, "speaks to the model (\"{said}\")"),
            Self::Hidden { place, character } => {
                let (place, code) = (place.phrase(), u32::from(*character));
                write!(f, "has a control or invisible character in {place} (U+{code:04X})")
            }
            Self::NotLookedInto(bytes) => write!(f, "is {} long, and was not looked into", kibibytes(*bytes)),
            Self::Unreadable => {
                f.write_str("has a number or text that cannot be read, and was not looked into")
            }
            Self::Elsewhere(target) => write!(f, "refers to {target}, which is never fetched"),
            Self::Twice => f.write_str("is listed more than once; on /mcp the first is kept"),
            Self::LeftOut(1) => {
                f.write_str("lists 1 entry without a name, or with a member twice; it is left out")
            }
            Self::LeftOut(entries) => {
                write!(f, "lists {entries} entries without a name, or with a member twice; they are left out")
            }
            Self::NoSchema => f.write_str("has no inputSchema"),
            Self::NotOfAnObject => f.write_str("has an inputSchema that is not of type object"),
            Self::Deep => write!(f, "has a schema of more than {SCHEMA_DEPTH_MAX} levels"),
            Self::LongDefinition(bytes) => write!(f, "is {} long", kibibytes(*bytes)),
            Self::LongDescription(bytes) => write!(f, "has a description of {}", kibibytes(*bytes)),
            Self::Many(tools) => write!(f, "lists {tools} tools"),
            Self::Cyclic => f.write_str("has a schema that refers to itself"),
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tool.as_str() {
            "" => self.what.fmt(f),
            tool => write!(f, "tool {tool}: {}", self.what),
        }
    }
}

fn kibibytes(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

fn as_text<S: Serializer>(what: &FlagKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}

/// What is odd about these tools. Of one kind at most one for each tool.
#[must_use]
pub fn flags(tools: &[Item]) -> Flags {
    let mut flags = Flags::default();
    if tools.len() > FLAGGED_TOOLS {
        flags.add("", FlagKind::Many(tools.len()));
    }
    let mut times: HashMap<&str, usize> = HashMap::new();
    for tool in tools {
        let times = times.entry(&tool.key).or_default();
        *times += 1;
        if *times == 2 {
            flags.add(&tool.key, FlagKind::Twice);
        }
        of_definition(tool, &mut flags);
    }
    flags
}

impl Flags {
    /// One more; who floods us with slight ones hides no grave one.
    pub fn add(&mut self, tool: &str, what: FlagKind) {
        self.total += 1;
        let at = self.shown.partition_point(|flag| flag.what.weight() <= what.weight());
        if at < FLAGS_SHOWN_MAX {
            self.shown.insert(at, Flag { tool: quoted(tool), what });
            self.shown.truncate(FLAGS_SHOWN_MAX);
        }
    }
}

impl FlagKind {
    /// The gravest have the least.
    fn weight(&self) -> u8 {
        match self {
            Self::Speaks(_) => 0,
            Self::Hidden { .. } => 1,
            Self::NotLookedInto(_) | Self::Unreadable => 2,
            Self::Elsewhere(_) => 3,
            Self::Twice | Self::LeftOut(_) => 4,
            Self::NoSchema | Self::NotOfAnObject | Self::Deep => 5,
            Self::LongDefinition(_) | Self::LongDescription(_) | Self::Many(_) => 6,
            Self::Cyclic => 7,
        }
    }
}

/// A text of a server, short and safe to show.
fn quoted(text: &str) -> String {
    let shown = printable(cut(text, FLAG_QUOTED_BYTES_MAX), &[]);
    let mut shown = cut(&shown, FLAG_QUOTED_BYTES_MAX).to_owned();
    if text.len() > FLAG_QUOTED_BYTES_MAX {
        shown.push('…');
    }
    shown
}

fn of_definition(tool: &Item, flags: &mut Flags) {
    let mut add = |what| flags.add(&tool.key, what);
    if let Some(character) = hidden::in_name(&tool.key) {
        add(FlagKind::Hidden { place: Place::Name, character });
    }
    if tool.raw.len() > LOOKED_INTO_BYTES_MAX {
        return add(FlagKind::NotLookedInto(tool.raw.len()));
    }
    if tool.raw.len() > FLAGGED_DEFINITION_BYTES {
        add(FlagKind::LongDefinition(tool.raw.len()));
    }
    let Some(definition) = Definition::parse(&tool.raw) else { return add(FlagKind::Unreadable) };
    let description = definition.text("description").len();
    if description > FLAGGED_DESCRIPTION_BYTES {
        add(FlagKind::LongDescription(description));
    }
    let mut texts = Texts { knows_hidden: hidden::in_name(&tool.key).is_some(), ..Texts::default() };
    for (key, value) in definition.members() {
        texts.read(key, value);
    }
    texts.found.into_iter().for_each(&mut add);
    schema::look(&definition).into_iter().for_each(add);
}

/// What all texts of one definition say: a model reads names, values and examples, too.
#[derive(Default)]
struct Texts {
    found: Vec<FlagKind>,
    knows_hidden: bool,
    knows_speech: bool,
}

impl Texts {
    fn read(&mut self, key: &str, value: &Value) {
        self.speech(key);
        self.hidden(Place::Name, hidden::in_text(key));
        self.value(key, value);
    }

    /// A parser has bounded how deep it is.
    fn value(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) => {
                self.speech(text);
                if let Some(place) = Place::of(key) {
                    self.hidden(place, hidden::in_text(text));
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.value(key, value)),
            Value::Object(members) => members.iter().for_each(|(key, value)| self.read(key, value)),
            _ => {}
        }
    }

    fn speech(&mut self, text: &str) {
        if let Some(said) = (!self.knows_speech).then(|| speech::to_the_model(text)).flatten() {
            self.knows_speech = true;
            self.found.push(FlagKind::Speaks(quoted(&said)));
        }
    }

    fn hidden(&mut self, place: Place, character: Option<char>) {
        if let Some(character) = character.filter(|_| !self.knows_hidden) {
            self.knows_hidden = true;
            self.found.push(FlagKind::Hidden { place, character });
        }
    }
}

#[cfg(test)]
mod tests;
