//! Figures, as a table for people and as JSON for comparing runs.

use serde_json::{Value, json};

/// The figures of one run, in the order they were taken.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    /// What must not be exceeded, where the issue names a bound.
    max: Option<f64>,
}

impl Report {
    /// Adds a figure.
    pub(crate) fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.push(Row { what: what.into(), value, unit, max: None });
    }

    /// Adds a figure that should be at most `max`.
    pub(crate) fn add_bounded(&mut self, what: impl Into<String>, value: f64, unit: &'static str, max: f64) {
        self.push(Row { what: what.into(), value, unit, max: Some(max) });
    }

    fn push(&mut self, row: Row) {
        eprintln!("{}: {:.1} {}", row.what, row.value, row.unit);
        self.rows.push(row);
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!("\n| figure | value | bound |\n|---|---:|---:|");
        for row in &self.rows {
            let bound = row.max.map(|max| {
                let verdict = if row.value <= max { "met" } else { "MISSED" };
                format!("{max} {} {verdict}", row.unit)
            });
            println!("| {} | {:.1} {} | {} |", row.what, row.value, row.unit, bound.unwrap_or_default());
        }
    }

    /// Writes the JSON file.
    pub(crate) fn write(&self, file: &str) {
        let rows = self
            .rows
            .iter()
            .map(|row| json!({"figure": row.what, "value": row.value, "unit": row.unit, "max": row.max}));
        let text = serde_json::to_string_pretty(&Value::Array(rows.collect())).unwrap();
        if let Some(directory) = std::path::Path::new(file).parent() {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(file, text).unwrap();
        println!("\nwritten to {file}");
    }
}

/// Bytes in MiB.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
