//! Composes values from the events of a YAML parser, within limits and without recursion.

use std::collections::HashMap;

use libyaml_safer::{Event, EventData, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::explain::{TEMPLATE, explain, is_template};
use super::{Chunk, Found, scalar};

/// Most that may be nested in each other.
const MAX_DEPTH: usize = 1_000;
/// What is nested deeper is read over: no field that lazymesh reads is there.
const KEPT_DEPTH: usize = 64;
/// Most values in one document.
const MAX_VALUES: usize = 4_000_000;
/// Most values in one document, each times what it is nested in: the parser's work grows with it.
const MAX_NESTED_VALUES: usize = 64_000_000;
/// How much aliases may copy in one document: values, and each 32 bytes of text.
const MAX_COPIED: usize = 400_000;

/// The documents of a chunk that are not empty, up to the first that is broken.
pub(super) fn values(chunk: &Chunk<'_>) -> Vec<Found> {
    let mut parser = Parser::new();
    parser.set_input(chunk.text.as_bytes());
    let mut found = Vec::new();
    loop {
        match next(&mut parser) {
            Ok(None) => return found,
            Ok(Some((_, Value::Null))) => {}
            Ok(Some((line, value))) => found.push(Found {
                line: chunk.line + line,
                value: Ok(value),
            }),
            Err(Broken { line, reason }) => {
                let reason = match is_template(chunk.text) {
                    true => TEMPLATE.to_owned(),
                    false => reason,
                };
                found.push(Found {
                    line: chunk.line + line,
                    value: Err(reason),
                });
                return found;
            }
        }
    }
}

/// What is wrong, and on which line, from 0.
struct Broken {
    line: u64,
    reason: String,
}

/// The next document, with the line of its first value; none at the end.
fn next(parser: &mut Parser<&[u8]>) -> Result<Option<(u64, Value)>, Broken> {
    let mut composer = Composer::default();
    let mut line = None;
    loop {
        let event = parser.parse().map_err(|error| Broken {
            line: error.problem_mark().map_or(0, |mark| mark.line),
            reason: explain(&error),
        })?;
        let at = event.start_mark.line;
        match event.data {
            EventData::StreamEnd => return Ok(None),
            EventData::StreamStart { .. } | EventData::DocumentStart { .. } => {}
            EventData::DocumentEnd { .. } => {
                return Ok(Some((line.unwrap_or(at), composer.root)));
            }
            _ => {
                line.get_or_insert(at);
                composer
                    .take(event)
                    .map_err(|reason| Broken { line: at, reason })?;
            }
        }
    }
}

/// A value, and how much it would cost to copy it.
#[derive(Clone, Default)]
struct Node {
    value: Value,
    weight: usize,
    /// How many are nested in each other in it.
    height: usize,
}

#[derive(Default)]
struct Composer {
    root: Value,
    open: Vec<Open>,
    anchors: HashMap<String, Node>,
    values: usize,
    nested_values: usize,
    copied: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: Option<String>,
    content: Content,
    weight: usize,
    height: usize,
}

enum Content {
    List(Vec<Value>),
    Map(Map<String, Value>, Key),
}

/// What a map waits for.
enum Key {
    Expected,
    Of(String),
    /// `<<`: the value's entries are the map's.
    Merge,
}

impl Composer {
    fn take(&mut self, event: Event) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values in one document"));
        }
        self.nested_values += self.open.len();
        if self.nested_values > MAX_NESTED_VALUES {
            return Err("too many values that are nested too deep".to_owned());
        }
        match event.data {
            EventData::Scalar {
                anchor,
                tag,
                value,
                style,
                ..
            } => self.scalar(anchor, tag.as_deref(), value, style),
            EventData::SequenceStart { anchor, .. } => {
                self.begin(anchor, Content::List(Vec::new()))
            }
            EventData::MappingStart { anchor, .. } => {
                self.begin(anchor, Content::Map(Map::new(), Key::Expected))
            }
            EventData::SequenceEnd | EventData::MappingEnd => self.end(),
            EventData::Alias { anchor } => self.copy(&anchor),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        text: String,
        style: ScalarStyle,
    ) -> Result<(), String> {
        let is_plain = style == ScalarStyle::Plain && tag.is_none();
        if let (true, "<<", Some(Content::Map(_, key @ Key::Expected))) = (
            is_plain,
            text.as_str(),
            self.open.last_mut().map(|open| &mut open.content),
        ) {
            *key = Key::Merge;
            return Ok(());
        }
        let weight = 1 + text.len() / 32;
        let value = match tag {
            None if is_plain && self.is_label() => scalar::label(text),
            None if is_plain => scalar::resolve(&text),
            Some("tag:yaml.org,2002:int" | "tag:yaml.org,2002:float") => scalar::resolve(&text),
            Some("tag:yaml.org,2002:bool" | "tag:yaml.org,2002:null") => scalar::resolve(&text),
            _ => Value::String(text),
        };
        let node = Node {
            value,
            weight,
            height: 0,
        };
        self.put(anchor, node)
    }

    fn begin(&mut self, anchor: Option<String>, content: Content) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.open.push(Open {
            anchor,
            content,
            weight: 1,
            height: 1,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::List(items) => Value::Array(items),
            Content::Map(entries, _) => Value::Object(entries),
        };
        let node = Node {
            value,
            weight: open.weight,
            height: open.height,
        };
        self.put(open.anchor, node)
    }

    fn copy(&mut self, anchor: &str) -> Result<(), String> {
        let node = self.anchors.get(anchor);
        let node = node.ok_or("an alias of what has no anchor before it")?;
        self.copied += node.weight;
        if self.copied > MAX_COPIED {
            return Err(format!("aliases copy more than {MAX_COPIED} values"));
        }
        let node = node.clone();
        self.put(None, node)
    }

    /// Whether the next value is a key.
    fn is_key(&self) -> bool {
        let open = self.open.last();
        open.is_some_and(|open| matches!(open.content, Content::Map(_, Key::Expected)))
    }

    /// Whether the next value is a label's or an annotation's.
    fn is_label(&self) -> bool {
        let [.., above, open] = &self.open[..] else {
            return false;
        };
        match (&above.content, &open.content) {
            (Content::Map(_, Key::Of(name)), Content::Map(_, Key::Of(_))) => {
                name == "labels" || name == "annotations"
            }
            _ => false,
        }
    }

    /// Puts a value where it belongs.
    fn put(&mut self, anchor: Option<String>, mut node: Node) -> Result<(), String> {
        if self.open.len() + node.height > KEPT_DEPTH && !self.is_key() {
            node = Node {
                weight: 1,
                ..Node::default()
            };
        }
        if let Some(anchor) = anchor {
            self.copied += node.weight;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = node.value;
            return Ok(());
        };
        open.weight += node.weight;
        open.height = open.height.max(node.height + 1);
        match &mut open.content {
            Content::List(items) => items.push(node.value),
            Content::Map(entries, key) => match std::mem::replace(key, Key::Expected) {
                Key::Expected => *key = Key::Of(scalar::key(node.value)?),
                // As for kubectl, the last one counts.
                Key::Of(name) => drop(entries.insert(name, node.value)),
                Key::Merge => merge(entries, node.value)?,
            },
        }
        Ok(())
    }
}

/// Of several maps the earlier one counts.
fn merge(entries: &mut Map<String, Value>, value: Value) -> Result<(), String> {
    let maps = match value {
        Value::Array(maps) => maps,
        one => vec![one],
    };
    for map in maps.into_iter().rev() {
        let Value::Object(map) = map else {
            return Err("<<: expected a map or a list of maps".to_owned());
        };
        entries.extend(map);
    }
    Ok(())
}
