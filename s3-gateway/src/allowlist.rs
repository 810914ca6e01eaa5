//! Which requests reach an operation at all.
//!
//! S3 chooses an operation by query keys (`PUT ?tagging`), so a server that ignores a key it does not know
//! runs the plain operation instead: `PUT ?renameObject` would overwrite an object. Here every operation
//! lists the keys it knows. A write with any other key is refused by name, before s3s sees it. A read with one is
//! carried out, as S3 does (`?v=3`, `?utm_source=…`), unless the key names a sub-resource of S3's.

mod headers;
#[cfg(test)]
mod tests;

use http::{Method, StatusCode};

pub(crate) use self::headers::check_headers;
use self::headers::refused_header;
use crate::errors::{Refusal, unwritable};
use crate::hoisted::{is_hoisted, presigned_header};
use crate::operations::{self, Criteria, Hoists, Level, Operation, Selection};
use crate::query::QueryPair;
use crate::query::quoted;

/// Query keys that any request may carry, in lower case: SDK bookkeeping, and the signature's own.
/// The last three are Signature Version 2's, let through so that the refusal can name it.
const COMMON: &[&str] = &[
    "x-id",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-content-sha256",
    "x-amz-user-agent",
    "awsaccesskeyid",
    "signature",
    "expires",
];

/// Query keys that hold a number, or `true`. Any other value is repeated in s3s's refusal, so it must be text that XML
/// can hold.
const NUMBERS: &[&str] = &[
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "fetch-owner",
];

/// Selectors that reads ignore if they select nothing: applications use such keys for their own purposes.
const NO_SUB_RESOURCES: &[&str] =
    &["id", "annotationName", "list-type", "max-directory-buckets", "partNumber"];

/// The noun for a path in a message.
fn noun(level: Level) -> &'static str {
    match level {
        Level::Service => "the service",
        Level::Bucket => "a bucket",
        Level::Object => "an object",
    }
}

/// The operation that a request selects, if the gateway offers it and knows every query key.
pub(crate) fn admit(asked: &Criteria<'_>) -> Result<&'static Operation, Refusal> {
    if let Some(refusal) = misused(asked) {
        return Err(refusal);
    }
    let operation = match operations::select(asked) {
        Selection::Offered(operation) => operation,
        // Its further keys are not checked: the name of the operation is the better answer.
        Selection::Refused(refused) => return Err(not_offered(meant(asked).unwrap_or(refused.name))),
        Selection::Nothing => return Err(nothing_selected(asked)),
    };
    for (key, value) in asked.query {
        if key.is_empty() && value.is_empty() {
            continue;
        }
        if NUMBERS.contains(&key.as_ref()) && value.contains(unwritable) {
            let refusal = Refusal::invalid_argument(format!("The value of {key} is not valid."));
            return Err(refusal.with("ArgumentName", key).with("ArgumentValue", value));
        }
        if !is_known(operation, key, asked.query) {
            return Err(if key.eq_ignore_ascii_case("x-amz-security-token") {
                Refusal::invalid_token()
            } else {
                Refusal::not_implemented(format!(
                    "The query parameter {} is not implemented for {}.",
                    quoted(key),
                    operation.name
                ))
            });
        }
    }
    if let Some(name) = meant(asked) {
        return Err(not_offered(name));
    }
    match asked.query.iter().find(|(key, _)| key == "list-type") {
        Some((key, value)) if value != "2" => {
            let refusal = Refusal::invalid_argument("list-type must be 2.");
            Err(refusal.with("ArgumentName", key).with("ArgumentValue", value))
        }
        _ => Ok(operation),
    }
}

/// Whether an operation accepts a query key: as its own, as one of every request, as a header of a presigned URL, or
/// because it reads and ignores what selects nothing.
fn is_known(operation: &Operation, key: &str, query: &[QueryPair<'_>]) -> bool {
    let header = key.to_ascii_lowercase();
    operation.selectors.contains(&key)
        || operation.params.contains(&key)
        || COMMON.contains(&header.as_str())
        || (operation.hoists != Hoists::Nothing && is_hoisted(key))
        || (operation.hoists == Hoists::All && presigned_header(key, query).is_some())
        || (operation.reads()
            && (NO_SUB_RESOURCES.contains(&key) || !operations::is_selector(key))
            && header != "x-amz-security-token"
            && refused_header(&header).is_none())
}

/// The refused operation that an SDK names in `x-id`. It may look like another one: directory buckets are listed as
/// buckets are.
fn meant(asked: &Criteria<'_>) -> Option<&'static str> {
    let named = asked.query.iter().find(|(key, _)| key == "x-id");
    named.and_then(|(_, name)| operations::refused_name(name))
}

fn not_offered(name: &str) -> Refusal {
    Refusal::not_implemented(format!("{name} is not implemented."))
}

/// Keys of S3's that select nothing here, and that S3 answers with an error of their own.
fn misused(asked: &Criteria<'_>) -> Option<Refusal> {
    let has = |key| asked.has(key);
    let bad = |message: &str| Some(Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    match *asked.method {
        _ if asked.level != Level::Object => None,
        Method::PUT if has("partNumber") && !has("uploadId") => {
            let why = "This operation does not accept partNumber without uploadId";
            let refusal = Refusal::invalid_argument(why).with("ArgumentName", "partNumber");
            Some(refusal.with("ArgumentValue", "partNumber"))
        }
        Method::PUT if has("uploadId") && !has("partNumber") => {
            let why = "The specified method is not allowed against this resource.";
            Some(Refusal::method_not_allowed(why.to_owned()).with("ResourceType", "UPLOAD"))
        }
        Method::GET if has("uploads") && !has("uploadId") => {
            bad("Key is not expected for the GET method ?uploads subresource")
        }
        Method::GET if has("versions") => {
            bad("There is no such thing as the ?versions sub-resource for a key")
        }
        _ => None,
    }
}

/// No operation at all: 501 if a key asks for one that we do not know, 405 if the request is plain.
fn nothing_selected(asked: &Criteria<'_>) -> Refusal {
    let (method, noun) = (asked.method, noun(asked.level));
    match asked.query.iter().find(|(key, _)| !COMMON.contains(&key.to_ascii_lowercase().as_str())) {
        Some((key, _)) => Refusal::not_implemented(format!(
            "{method} with the query parameter {} is not implemented on {noun}.",
            quoted(key)
        )),
        None => Refusal::method_not_allowed(format!("{method} is not available on {noun}.")),
    }
}
