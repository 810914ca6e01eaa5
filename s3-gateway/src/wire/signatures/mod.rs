//! Signatures that S3 verifies and s3s does not: read, verified here over the request as it came, and written as s3s
//! reads them.

pub(crate) mod bucket_path;
pub(crate) mod chunks;
pub(crate) mod claims;
pub(crate) mod mac;
pub(crate) mod old_dates;
pub(crate) mod resign;
pub(crate) mod unsigned;

use time::format_description::BorrowedFormatItem;

/// `20260102T030405Z`.
pub(crate) const AMZ_DATE: &[BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
