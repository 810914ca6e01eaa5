//! One entry of the file, taken apart field by field: what is left over in the end is unknown.

use std::fmt::Display;

use toml::{Table, Value};

/// The fields of an entry that were not taken yet.
pub(super) struct Fields {
    /// How messages call the entry: `bucket demo`.
    entry: String,
    left: Table,
}

impl Fields {
    /// Of the entry at `index`, from 0, of a kind; messages call it by its field `name` if it has one.
    pub(super) fn of(kind: &str, name: &str, index: usize, value: Value) -> Result<Self, String> {
        let Value::Table(left) = value else { return Err(format!("{kind} {}: must be a table", index + 1)) };
        let entry = match left.get(name).and_then(Value::as_str) {
            Some(name) if !name.is_empty() => format!("{kind} {name}"),
            _ => format!("{kind} {}", index + 1),
        };
        Ok(Self { entry, left })
    }

    /// A refusal of a field.
    pub(super) fn refuse(&self, field: &str, reason: impl Display) -> String {
        format!("{}, {field}: {reason}", self.entry)
    }

    /// How messages call the entry.
    pub(super) fn entry(&self) -> &str {
        &self.entry
    }

    /// Whether a field is there.
    pub(super) fn has(&self, field: &str) -> bool {
        self.left.contains_key(field)
    }

    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.left.remove(field)
    }

    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, String> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(field, "must be text")),
        }
    }

    /// A text that is read by a rule.
    pub(super) fn read<T, E: Display>(
        &mut self,
        field: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, String> {
        let text = self.text(field)?;
        text.map(|text| read(&text).map_err(|reason| self.refuse(field, reason))).transpose()
    }

    pub(super) fn flag(&mut self, field: &str) -> Result<Option<bool>, String> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.refuse(field, "must be true or false")),
        }
    }

    pub(super) fn list(&mut self, field: &str) -> Result<Option<Vec<String>>, String> {
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(all)) => {
                let all: Option<Vec<_>> = all.into_iter().map(text).collect();
                all.map(Some).ok_or_else(|| self.refuse(field, "must be a list of texts"))
            }
            Some(_) => Err(self.refuse(field, "must be a list of texts")),
        }
    }

    /// Refuses what is left.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), String> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(field) => {
                Err(self.refuse(field, format!("is no field of it; these are: {}", known.join(", "))))
            }
        }
    }
}
