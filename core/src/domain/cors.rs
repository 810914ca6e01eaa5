//! Which pages of other origins a browser may let at a bucket (S3 User Guide, "Using cross-origin resource
//! sharing"; the Fetch standard, "CORS protocol").

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;

/// Most rules of one configuration (S3 `PutBucketCors`).
pub const RULES_MAX: usize = 100;

/// Methods that a rule may allow (S3 `CORSRule`).
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// Who may do what from where, the first rule that fits deciding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsConfig {
    /// In the order in which they are tried.
    pub rules: Vec<CorsRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// For people; at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub origins: Vec<String>,
    /// Methods in upper case.
    pub methods: Vec<String>,
    /// Request headers, each with at most one `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Response headers that scripts may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// For how many seconds a browser may remember a preflight's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
}

/// What a browser asks.
#[derive(Clone, Copy, Debug)]
pub struct CorsRequest<'r> {
    /// `Origin`.
    pub origin: &'r str,
    /// The method that the page will use, or uses.
    pub method: &'r str,
    /// The headers it will send, by a preflight; empty for the request itself.
    pub headers: &'r [String],
}

/// What a bucket says to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsAnswer {
    /// There is no such bucket.
    NoBucket,
    /// It has no rules.
    NoRules,
    /// No rule fits.
    Refused,
    /// The first rule that fits grants this.
    Granted(CorsGrant),
}

/// What the browser is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsGrant {
    /// The origin to name: the one that asked, or `*` where every origin is allowed by that very word.
    pub origin: String,
    /// The rule's methods.
    pub methods: Vec<String>,
    /// The headers that were asked for.
    pub headers: Vec<String>,
    /// The headers that scripts may read.
    pub expose: Vec<String>,
    /// For how many seconds to remember it.
    pub max_age_seconds: Option<u32>,
}

impl CorsConfig {
    /// Checks what S3 checks.
    pub fn validate(&self) -> Result<(), Invalid> {
        let refuse = |reason: String| Err(Invalid::new("cors", reason));
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            return refuse(format!("must have 1 to {RULES_MAX} rules"));
        }
        for rule in &self.rules {
            if rule.origins.is_empty() || rule.methods.is_empty() {
                return refuse("each rule must allow at least one origin and one method".to_owned());
            }
            if rule.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
                return refuse("a rule's id must be at most 255 characters".to_owned());
            }
            if let Some(method) = rule.methods.iter().find(|method| !is_method(method)) {
                return refuse(format!("found unsupported HTTP method in CORS config: {}", shown(method)));
            }
            if let Some(origin) = rule.origins.iter().find(|origin| wildcards(origin) > 1) {
                return refuse(format!(
                    "AllowedOrigin \"{}\" can not have more than one wildcard",
                    shown(origin)
                ));
            }
            if let Some(header) = rule.headers.iter().find(|header| wildcards(header) > 1) {
                return refuse(format!(
                    "AllowedHeader \"{}\" can not have more than one wildcard",
                    shown(header)
                ));
            }
            if rule.expose.iter().any(|header| wildcards(header) > 0) {
                return refuse("ExposeHeader can not have wildcards".to_owned());
            }
            let names = rule.headers.iter().chain(&rule.expose);
            if let Some(header) = names.into_iter().find(|name| !is_header_name(&name.replace('*', ""))) {
                return refuse(format!("AllowedHeader \"{}\" contains invalid character", shown(header)));
            }
            if rule.origins.iter().any(|text| !text.bytes().all(|byte| (0x20..0x7f).contains(&byte))) {
                return refuse("origins must consist of visible ASCII characters".to_owned());
            }
        }
        Ok(())
    }

    /// What the first rule that fits grants. A rule fits by its origin, its method, and every header asked.
    pub fn grant(&self, request: CorsRequest<'_>) -> Option<CorsGrant> {
        self.rules.iter().find_map(|rule| {
            let origin = rule.origins.iter().find(|pattern| matches(pattern, request.origin))?;
            let fits = rule.methods.iter().any(|method| method == request.method)
                && request.headers.iter().all(|header| {
                    let header = header.to_ascii_lowercase();
                    rule.headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &header))
                });
            fits.then(|| CorsGrant {
                origin: if origin == "*" { "*".to_owned() } else { request.origin.to_owned() },
                methods: rule.methods.clone(),
                headers: request.headers.to_vec(),
                expose: rule.expose.clone(),
                max_age_seconds: rule.max_age_seconds,
            })
        })
    }
}

/// Whether a method is one that a rule may allow.
pub fn is_method(name: &str) -> bool {
    METHODS.contains(&name)
}

/// Whether `name` consists of the characters of a header's name (RFC 9110 section 5.6.2).
pub fn is_header_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn wildcards(text: &str) -> usize {
    text.matches('*').count()
}

/// A client's text, short enough to show again.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Whether `text` is `pattern`, in which one `*` stands for anything, nothing too.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            origins: owned(origins),
            methods: owned(methods),
            headers: owned(headers),
            ..CorsRule::default()
        }
    }

    #[test]
    fn one_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("*suffix", "foo.suffix", true),
            ("*suffix", "suffix", true),
            ("*suffix", "foo.suffix.get", false),
            ("start*end", "startend", true),
            ("start*end", "start12end", true),
            ("start*end", "0start12end", false),
            ("start*tend", "startend", false),
            ("prefix*", "prefix.suffix", true),
            ("prefix*", "bla.prefix", false),
            ("*", "null", true),
            ("http://a", "http://a", true),
            ("http://a", "http://A", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_grants() {
        let config = CorsConfig {
            rules: vec![rule(&["http://a"], &["GET"], &["x-*"]), rule(&["*"], &["GET", "PUT"], &[])],
        };
        let ask = |origin, method, headers: &[&str]| {
            let headers: Vec<_> = headers.iter().map(|text| (*text).to_owned()).collect();
            config.grant(CorsRequest { origin, method, headers: &headers })
        };
        assert_eq!(ask("http://a", "GET", &["X-Custom"]).unwrap().origin, "http://a");
        assert_eq!(ask("http://a", "PUT", &[]).unwrap().origin, "*");
        assert_eq!(ask("http://b", "GET", &["X-Custom"]), None);
        assert_eq!(ask("http://b", "DELETE", &[]), None);
    }

    #[test]
    fn what_s3_refuses_is_refused() {
        let with = |rule| CorsConfig { rules: vec![rule] }.validate();
        assert_eq!(with(rule(&["*"], &["GET"], &["*"])), Ok(()));
        assert!(with(rule(&["*"], &["PATCH"], &[])).is_err());
        assert!(with(rule(&["*"], &["get"], &[])).is_err());
        assert!(with(rule(&["*.*"], &["GET"], &[])).is_err());
        assert!(with(rule(&["*"], &["GET"], &["x-*-*"])).is_err());
        assert!(with(rule(&[], &["GET"], &[])).is_err());
        for header in [
            "a\nb",
            "invalid header",
            "X:Y",
            "X(Custom)",
            "Bad/Header",
            "X[Key]",
            "Bad=Name",
            "bad@char",
            "ä",
        ] {
            assert!(with(rule(&["*"], &["GET"], &[header])).is_err(), "{header}");
            let exposing = CorsRule { expose: vec![header.to_owned()], ..rule(&["*"], &["GET"], &[]) };
            assert!(with(exposing).is_err(), "{header}");
        }
        assert!(CorsConfig::default().validate().is_err());
    }
}
