//! Output of commands on standard output: text for people or JSON for programs.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use juststorage_core::domain::timestamp::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::exit_error::ExitError;

/// The requested form of output.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// Prints one answer.
    pub(super) fn print(self, json: &Value, text: impl FnOnce() -> String) -> Result<(), ExitError> {
        if self.json { line(&json.to_string()) } else { line(text().trim_end()) }
    }
}

/// Writes a line at once, since a program behind a pipe may wait for it.
pub(super) fn line(text: &str) -> Result<(), ExitError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| ExitError::unable("print", error))
}

/// A progress line of a long command, on a terminal only.
pub(super) fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A time as RFC 3339, in UTC.
pub(super) fn rfc3339(moment: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.millis()) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{} ms", moment.millis()))
}

/// A value of JSON as a cell of a table. What is not visible is written out: a key or a name may hold what moves a terminal's
/// cursor, or turns the direction of what follows.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn visible(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Rows as a table: each column as wide as its widest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head.map(str::to_owned)).chain(rows) {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_visible_is_written_out() {
        assert_eq!(cell(&Value::from("a\u{1b}[2Jb\u{202e}c\nd ü")), "a\\u{1b}[2Jb\\u{202e}c\\nd ü");
    }

    #[test]
    fn moments_and_tables_read_well() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp(1_700_000_000_500)), "2023-11-14T22:13:20.5Z");
        let rows = [["a".to_owned(), "long cell".to_owned()]];
        assert_eq!(table(["NAME", "X"], &rows), "NAME  X\na     long cell\n");
    }
}
