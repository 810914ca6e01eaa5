//! Many rows as one value of JSON, and the values in it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::fault::Fault;

/// The columns of `page_of_objects`, in order.
const COLUMNS: [&str; 20] = [
    "id",
    "key",
    "blob_id",
    "size",
    "etag",
    "class",
    "headers",
    "metadata",
    "tags",
    "checksum",
    "object_lock",
    "acl",
    "class_name",
    "is_latest",
    "is_null_version",
    "created_at",
    "hash",
    "parts",
    "in_pieces",
    "part_count",
];

/// The columns that every row of a page shares, in order: its space's.
const SHARED: [&str; 6] = ["space_id", "namespace", "tenant", "versioning", "settings", "upstream"];

/// A row out of a page.
pub(crate) struct Paged {
    shared: Arc<[Value]>,
    values: Vec<Value>,
}

/// Reads a page, or a part of it.
pub(crate) fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::failed(format!("a page of rows: {error}")))
}

/// A text in a page. It is copied only where JSON escapes something in it.
#[derive(Deserialize)]
pub(crate) struct Text<'t>(#[serde(borrow)] pub(crate) Cow<'t, str>);

/// The rows of a page, and what all of them share.
pub(crate) fn rows_of(shared: Option<&str>, page: &str) -> Result<Vec<Paged>, Fault> {
    let shared: Arc<[Value]> = shared.map(parse::<Vec<Value>>).transpose()?.unwrap_or_default().into();
    let rows = parse::<Vec<Vec<Value>>>(page)?.into_iter();
    Ok(rows.map(|values| Paged { shared: shared.clone(), values }).collect())
}

impl Paged {
    pub(crate) fn get<T: FromPage>(&self, column: &str) -> Result<T, Fault> {
        let place = |columns: &[&str]| columns.iter().position(|name| *name == column);
        let value = match place(&COLUMNS) {
            Some(at) => self.values.get(at),
            None => place(&SHARED).and_then(|at| self.shared.get(at)),
        };
        let value = value.and_then(T::from_page);
        value.ok_or_else(|| Fault::failed(format!("a page has no such value in column {column}")))
    }

    pub(crate) fn at<T: FromPage>(&self, at: usize) -> Result<T, Fault> {
        let value = self.values.get(at).and_then(T::from_page);
        value.ok_or_else(|| Fault::failed(format!("a page has no such value in column {at}")))
    }
}

/// A value that a page can hold: bytes as hexadecimal digits, of which none stand for NULL as `hex` does;
/// a boolean as 0 or 1.
pub(crate) trait FromPage: Sized {
    fn from_page(value: &Value) -> Option<Self>;
}

impl FromPage for String {
    fn from_page(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromPage for i64 {
    fn from_page(value: &Value) -> Option<Self> {
        value.as_i64()
    }
}

impl FromPage for i16 {
    fn from_page(value: &Value) -> Option<Self> {
        value.as_i64()?.try_into().ok()
    }
}

impl FromPage for bool {
    fn from_page(value: &Value) -> Option<Self> {
        value.as_i64().map(|number| number != 0)
    }
}

impl FromPage for Uuid {
    fn from_page(value: &Value) -> Option<Self> {
        Self::try_parse(value.as_str()?).ok()
    }
}

impl FromPage for Vec<u8> {
    fn from_page(value: &Value) -> Option<Self> {
        // `hex::decode` takes several times as long: it does not know how many bytes there will be.
        let digits = value.as_str()?;
        let mut bytes = vec![0; digits.len() / 2];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(bytes)
    }
}

impl<T: FromPage> FromPage for Option<T> {
    fn from_page(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::String(text) if text.is_empty() => Some(T::from_page(value)),
            value => T::from_page(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_page_read_back() {
        let page = r#"[["00112233445566778899AABBCCDDEEFF", -1, "a\u0000", 1, "", null, "0aFF"]]"#;
        let rows = rows_of(Some(r#"[7, "n", "t", 1]"#), page).unwrap();
        let row = &rows[0];
        assert_eq!(row.get::<String>("tenant").unwrap(), "t");
        assert!(row.get::<i64>("no such").is_err());
        assert_eq!(row.at::<Uuid>(0).unwrap().as_u128(), 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        assert_eq!(row.at::<i64>(1).unwrap(), -1);
        assert_eq!(row.at::<String>(2).unwrap(), "a\0");
        assert!(row.at::<bool>(3).unwrap());
        assert_eq!(row.at::<Option<Uuid>>(4).unwrap(), None);
        assert_eq!(row.at::<Option<String>>(5).unwrap(), None);
        assert_eq!(row.at::<Vec<u8>>(6).unwrap(), [10, 255]);
        assert!(row.at::<i64>(7).is_err() && row.at::<i64>(2).is_err());
    }
}
