//! Error bodies: written for refusals, and completed where s3s wrote them.

use http::{Method, StatusCode};

use super::members::{self, Repeatable};
use super::refusal::Refusal;
use super::text::escape;

/// The ids that an answer carries, and the resource it is about.
pub(crate) struct ErrorContext<'a> {
    pub(crate) resource: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) host_id: &'a str,
    /// The region that the store says it is in.
    pub(crate) region: &'a str,
    /// The request.
    pub(crate) asked: &'a Repeatable,
}

/// The body of a refusal.
pub(crate) fn render(refusal: &Refusal, context: &ErrorContext<'_>) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{}{}</Error>",
        refusal.code,
        escape(&refusal.message),
        members::of(refusal.code, &refusal.message, &refusal.members, context.asked, context.region),
        tail(context)
    )
}

/// s3s's message about an incomplete document: S3's documentation of the code, and not S3's words.
const DESCRIBED: &str = "This happens when the user sends malformed XML (XML that doesn&apos;t conform to the published XSD) for \
    the configuration. The error message is, \"The XML you provided was not well-formed or did not validate against our \
    published schema.\"";
const MALFORMED: &str =
    "The XML you provided was not well-formed or did not validate against our published schema.";

/// An error body of s3s, which knows neither ids nor further members, with them. `given` are the members that the
/// operation gave.
pub(crate) fn complete(
    body: &[u8],
    given: &[(String, String)],
    context: &ErrorContext<'_>,
) -> Option<Vec<u8>> {
    const END: &[u8] = b"</Error>";
    let head = body.strip_suffix(END)?;
    let mut completed =
        String::from_utf8_lossy(head).replace("&quot;", "\"").replace(DESCRIBED, MALFORMED).into_bytes();
    // git-annex, for one, fails on an error without a message.
    if !head.windows(9).any(|window| window == b"<Message>") {
        completed.extend_from_slice(b"<Message>The request failed.</Message>");
    }
    let (code, message) = (text_of(head, "Code"), text_of(head, "Message"));
    let further = members::of(&code, &message, given, context.asked, context.region);
    completed.extend_from_slice(further.as_bytes());
    completed.extend_from_slice(tail(context).as_bytes());
    completed.extend_from_slice(END);
    Some(completed)
}

/// The text of an element of an error body that s3s wrote.
fn text_of(body: &[u8], element: &str) -> String {
    let text = String::from_utf8_lossy(body);
    let inner = text
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map(|(inner, _)| inner)
        .unwrap_or_default();
    let plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'");
    plain.replace("&quot;", "\"").replace("&amp;", "&")
}

fn tail(context: &ErrorContext<'_>) -> String {
    format!(
        "<Resource>{}</Resource><RequestId>{}</RequestId><HostId>{}</HostId>",
        escape(context.resource),
        escape(context.request_id),
        escape(context.host_id)
    )
}

/// Whether an answer must not have a body (RFC 9110 sections 6.4.1 and 9.3.2).
pub(crate) fn bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderMap;

    use super::*;

    #[test]
    fn error_bodies_carry_the_ids() {
        let asked =
            Repeatable::new(&Method::GET, &http::Uri::from_static("/b"), &HeaderMap::new(), None, None);
        let context = ErrorContext {
            resource: "/b/a&b\u{1}",
            request_id: "R",
            host_id: "H",
            region: "r",
            asked: &asked,
        };
        let completed = complete(b"<Error><Code>X</Code></Error>", &[], &context).unwrap();
        let text = String::from_utf8(completed).unwrap();
        assert!(text.contains("<Message>") && text.contains("<RequestId>R</RequestId><HostId>H</HostId>"));
        assert!(text.contains("<Resource>/b/a&amp;b\u{fffd}</Resource>") && text.ends_with("</Error>"));
        let quoted = b"<Error><Code>X</Code><Message>a &quot;b&quot; &lt;</Message></Error>";
        let text = String::from_utf8(complete(quoted, &[], &context).unwrap()).unwrap();
        assert!(text.contains("<Message>a \"b\" &lt;</Message>"), "MinIO's clients look for the quotes");
        assert!(complete(b"<ListBucketResult/>", &[], &context).is_none());
    }
}
