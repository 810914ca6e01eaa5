//! Many rows as one value of JSON, and the values in it.

use serde_json::Value;
use uuid::Uuid;

use super::dialect::Fault;

/// What a row of `page_of_objects` holds, in order.
const COLUMNS: [&str; 19] = [
    "id",
    "space_id",
    "namespace",
    "tenant",
    "versioning",
    "key",
    "blob_id",
    "size",
    "etag",
    "class",
    "headers",
    "metadata",
    "tags",
    "checksum",
    "is_latest",
    "is_null_version",
    "created_at",
    "hash",
    "parts",
];

/// A row out of a page.
pub(super) struct Paged(Vec<Value>);

/// The rows of a page.
pub(super) fn rows_of(page: &str) -> Result<Vec<super::database::Row>, Fault> {
    let rows: Vec<Vec<Value>> =
        serde_json::from_str(page).map_err(|error| Fault::failed(format!("a page of rows: {error}")))?;
    Ok(rows.into_iter().map(|row| super::database::Row::Paged(Paged(row))).collect())
}

impl Paged {
    pub(super) fn get<T: FromPage>(&self, column: &str) -> Result<T, Fault> {
        let at = COLUMNS.iter().position(|name| *name == column);
        self.at(at.ok_or_else(|| Fault::failed(format!("a page has no column {column}")))?)
    }

    pub(super) fn at<T: FromPage>(&self, at: usize) -> Result<T, Fault> {
        let value = self.0.get(at).and_then(T::from_page);
        value.ok_or_else(|| Fault::failed(format!("a page has no such value in column {at}")))
    }
}

/// A value that a page can hold: bytes as hexadecimal digits, of which none stand for NULL as `hex` does;
/// a boolean as 0 or 1.
pub(super) trait FromPage: Sized {
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
        hex::decode(value.as_str()?).ok()
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
        let rows = rows_of(page).unwrap();
        let super::super::database::Row::Paged(row) = &rows[0] else { panic!("not paged") };
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
