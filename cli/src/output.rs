//! Prints answers: a table or names for people, JSON, YAML or parts of them for programs.

use std::io::{Write, stdout};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use comfy_table::{Row, Table, presets};
use serde::Serialize;
use serde_json::Value;
use serde_json_path::JsonPath;

/// Form of an answer.
#[derive(Clone)]
pub(crate) enum Output {
    /// Columns.
    Table,
    /// More of them.
    Wide,
    /// A name a line.
    Name,
    /// JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// Parts of it.
    JsonPath(JsonPath),
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "table" => Self::Table,
            "wide" => Self::Wide,
            "name" => Self::Name,
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            _ => {
                let path = text.strip_prefix("jsonpath=").ok_or_else(|| {
                    format!("expected table, wide, name, json, yaml or jsonpath=EXPRESSION, got {text:?}")
                })?;
                Self::JsonPath(json_path(path)?)
            }
        })
    }
}

/// RFC 9535, and as kubectl writes it: `{.a.b}` is `$.a.b`.
fn json_path(text: &str) -> Result<JsonPath, String> {
    let inner = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    let path = inner.unwrap_or(text);
    let path = match path.starts_with('$') {
        true => path.to_owned(),
        false => format!("${path}"),
    };
    JsonPath::parse(&path).map_err(|error| {
        format!(
            "expected a path as in {{[*].name}}, got {text:?}: {}",
            error.message()
        )
    })
}

/// The flag that chooses it.
#[derive(clap::Args)]
pub(crate) struct OutputArgs {
    /// Form of the answer: table, wide, name, json, yaml or jsonpath=EXPRESSION
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Output,
}

impl OutputArgs {
    /// Prints `answer`, as a table by `table`.
    pub(crate) fn print<T: Serialize>(
        &self,
        answer: &T,
        table: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        self.output.print(answer, table)
    }

    pub(crate) fn is_wide(&self) -> bool {
        self.output.is_wide()
    }
}

impl Output {
    /// As [`OutputArgs::print`].
    pub(crate) fn print<T: Serialize>(
        &self,
        answer: &T,
        table: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Table | Self::Wide => print(&table()?),
            Self::Name => print(&names(&serde_json::to_value(answer)?)?),
            Self::Json => print(&serde_json::to_string_pretty(answer)?),
            Self::Yaml => print(
                &serde_saphyr::to_string(answer).context("the answer cannot be written as YAML")?,
            ),
            Self::JsonPath(path) => print(&parts(&serde_json::to_value(answer)?, path)),
        }
    }

    pub(crate) fn is_wide(&self) -> bool {
        matches!(self, Self::Wide)
    }
}

/// The names of an answer's items, each on a line of its own.
fn names(answer: &Value) -> anyhow::Result<String> {
    let items = match answer {
        Value::Array(items) => items.iter().collect(),
        item => vec![item],
    };
    let names: Vec<_> = items.iter().filter_map(|item| name(item)).collect();
    ensure!(
        names.len() == items.len(),
        "-o name: expected items with names, got others; try -o json"
    );
    Ok(names.join("\n"))
}

/// What one item is called: a workload, a host, a check, an event.
fn name(item: &Value) -> Option<String> {
    let text = |field: &str| item[field].as_str();
    match (text("namespace"), text("name")) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        _ => ["host", "check", "id"]
            .iter()
            .find_map(|it| text(it))
            .map(str::to_owned),
    }
}

/// What a path finds, as kubectl shows it: with spaces between, text without quotes.
fn parts(answer: &Value, path: &JsonPath) -> String {
    let found = path.query(answer).all().into_iter();
    let found = found.map(|it| match it {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    found.collect::<Vec<_>>().join(" ")
}

/// Prints text, and a newline where it ends without one.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Columns under headers, without borders.
pub(crate) fn columns<R: Into<Row>>(
    headers: impl Into<Row>,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(headers)
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// How long ago a time (milliseconds since 1970) was, in its largest unit.
pub(crate) fn ago(time_ms: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    age(now.saturating_sub(Duration::from_millis(time_ms)))
}

fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, expect) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (7_200, "2h"),
            (200_000, "2d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expect);
        }
    }

    #[test]
    fn paths_find_parts() {
        let answer =
            json!([{"namespace": "shop", "name": "web", "ports": [80, 443]}, {"host": "a"}]);
        let check = |path: &str, expect: &str| {
            let path = json_path(path).expect("a path");
            assert_eq!(parts(&answer, &path), expect, "{path}");
        };
        check("{[*].name}", "web");
        check("{[0].ports}", "[80,443]");
        check("{[0].ports[*]}", "80 443");
        check("$[?@.host == 'a'].host", "a");
        check("{.none}", "");
        assert!(json_path("{[}").is_err());
        assert_eq!(names(&answer).expect("names"), "shop/web\na");
        assert!(names(&json!({"version": "1"})).is_err());
    }

    #[test]
    fn columns_line_up_without_trailing_space() {
        let rows = [
            ["a".to_owned(), "b".to_owned()],
            ["longer".to_owned(), "c".to_owned()],
        ];
        assert_eq!(columns(["X", "Y"], rows), "X       Y\na       b\nlonger  c");
    }
}
