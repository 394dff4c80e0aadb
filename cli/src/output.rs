//! Prints answers: a table for people, JSON or YAML for programs.

use std::io::{Write, stdout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

/// Form of an answer.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Output {
    /// Columns
    Table,
    /// JSON
    Json,
    /// The same as YAML
    Yaml,
}

/// The flag that chooses it.
#[derive(clap::Args)]
pub(crate) struct OutputArgs {
    /// Form of the answer
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
}

impl Output {
    /// As [`OutputArgs::print`].
    pub(crate) fn print<T: Serialize>(
        self,
        answer: &T,
        table: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Table => print(&table()?),
            Self::Json => print(&serde_json::to_string_pretty(answer)?),
            Self::Yaml => print(
                &serde_saphyr::to_string(answer).context("the answer cannot be written as YAML")?,
            ),
        }
    }
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
pub(crate) fn columns<const N: usize>(
    headers: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
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
    fn columns_line_up_without_trailing_space() {
        let rows = [
            ["a".to_owned(), "b".to_owned()],
            ["longer".to_owned(), "c".to_owned()],
        ];
        assert_eq!(columns(["X", "Y"], rows), "X       Y\na       b\nlonger  c");
    }
}
