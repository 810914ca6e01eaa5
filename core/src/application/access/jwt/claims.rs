//! What a verified token claims, and the principal that follows from it.
//!
//! The names of the claims are settings: identity providers put tenants and roles where they like, often inside
//! another claim (`realm_access.roles`).

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use crate::domain::address::{KEY_PREFIXES_MAX, KeyPrefix, Tenant};
use crate::domain::context::Context;
use crate::domain::invalid::Invalid;
use crate::domain::principal::{NamespacePattern, Principal, Proof, Right, Rights, Tenants};
use crate::domain::timestamp::Timestamp;

/// Longest subject in bytes; it is repeated in logs.
const SUBJECT_BYTES_MAX: usize = 256;

/// Most tenants, and most namespaces, that a token may name.
const NAMES_MAX: usize = 64;

/// Longest name of a claim in bytes, and how deep inside others it may stand.
const PATH_BYTES_MAX: usize = 256;
const PATH_DEPTH_MAX: usize = 8;

/// What a token must say beside being signed.
#[derive(Clone, Debug, Default)]
pub struct JwtRules {
    /// Who must have issued it (`iss`), if that matters.
    pub issuer: Option<String>,
    /// Whom it must be meant for (`aud`). Without this a token that names an audience is refused, as it is
    /// meant for another audience (RFC 7519 section 4.1.3).
    pub audience: Option<String>,
    /// Where everything else stands.
    pub claims: ClaimNames,
    /// The tenant of tokens that name none; without it they are refused.
    pub tenant: Option<Tenant>,
    /// What stands before the name of a right, so that a role of the same name elsewhere means nothing here.
    pub rights_prefix: Option<String>,
}

/// Why a token is refused: for the log, never for the client.
pub(super) type Refused = &'static str;

/// A token that was verified: it can only run out, or lose its key.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) principal: Principal,
    pub(super) not_before: Option<Timestamp>,
    pub(super) expires_at: Timestamp,
}

/// Where a claim stands: names of objects, one inside the other, and the claim's own name last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Reads names with dots between them. A dot that belongs to a name is written `\.`, a backslash `\\`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason| Invalid::new("claim", reason);
        if text.len() > PATH_BYTES_MAX {
            return Err(invalid("must have at most 256 bytes"));
        }
        let (mut names, mut name) = (Vec::new(), String::new());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '.' => names.push(std::mem::take(&mut name)),
                '\\' => match chars.next() {
                    Some(escaped @ ('.' | '\\')) => name.push(escaped),
                    _ => return Err(invalid("has a backslash that stands before neither a dot nor another")),
                },
                c => name.push(c),
            }
        }
        names.push(name);
        if names.iter().any(String::is_empty) {
            return Err(invalid(
                "must be a claim's name, or names with dots between them: realm_access.roles",
            ));
        }
        if names.len() > PATH_DEPTH_MAX {
            return Err(invalid("must stand inside at most 7 other claims"));
        }
        Ok(Self(names))
    }

    fn of(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

/// The names of the claims that matter here; those of RFC 7519 (`exp`, `nbf`, `iss`, `aud`) are fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// Who it is, for logs: a text.
    pub subject: ClaimPath,
    /// The tenant where the principal is at home: a text.
    pub tenant: ClaimPath,
    /// All tenants that it reaches: a list.
    pub tenants: ClaimPath,
    /// Namespaces, or beginnings of some: a list or one text.
    pub namespaces: ClaimPath,
    /// Prefixes of keys: a list or one text.
    pub prefixes: ClaimPath,
    /// Rights: a list, or a text with blanks between them.
    pub rights: ClaimPath,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            subject: ClaimPath::of("sub"),
            tenant: ClaimPath::of("tenant"),
            tenants: ClaimPath::of("tenants"),
            namespaces: ClaimPath::of("namespaces"),
            prefixes: ClaimPath::of("prefixes"),
            rights: ClaimPath::of("scope"),
        }
    }
}

/// The claims of a token: a JSON object, and nothing else (RFC 7519 section 4), in which no member stands twice at
/// any depth, as issuer and store could read different ones.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// The value at `path`; one that is null is as good as none. Refuses claims in which something else than an object
    /// stands on the way: a restriction that was meant must not be overlooked.
    pub(super) fn at(&self, path: &ClaimPath) -> Result<Option<&Value>, Refused> {
        let Some((name, outer)) = path.0.split_last() else { return Ok(None) };
        let mut object = &self.0;
        for name in outer {
            object = match object.get(name) {
                Some(Value::Object(inner)) => inner,
                None | Some(Value::Null) => return Ok(None),
                Some(_) => return Err("a claim that others should stand in is no object"),
            };
        }
        Ok(object.get(name).filter(|value| !value.is_null()))
    }

    fn named(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// The principal that `claims` make, once the signature, `iss` and `aud` are known to be right.
pub(super) fn judge(claims: &Claims, key_id: Option<String>, rules: &JwtRules) -> Result<Verified, Refused> {
    // The library would take a list of issuers too.
    if rules.issuer.is_some() && !claims.named("iss").is_some_and(Value::is_string) {
        return Err("it has another issuer");
    }
    let names = &rules.claims;
    let expires_at = moment(claims.named("exp").ok_or("it has no exp")?)?;
    let not_before = claims.named("nbf").map(moment).transpose()?;
    let subject = text(claims.at(&names.subject)?.ok_or("it names no subject")?)?;
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        return Err("its subject is empty, too long or no text");
    }
    let (tenant, tenants) = tenants(claims, rules)?;
    let namespaces = claims.at(&names.namespaces)?.map(|names| patterns(&one_or_many(names)?)).transpose()?;
    let prefixes = claims.at(&names.prefixes)?.map(|names| prefixes(&one_or_many(names)?)).transpose()?;
    let rights = match claims.at(&names.rights)? {
        Some(words) => rights(&one_or_many(words)?, rules.rights_prefix.as_deref().unwrap_or_default()),
        None => Rights::default(),
    };
    if prefixes.is_some() && !rights.fit_prefixes() {
        return Err("it is bound to prefixes of keys, and has a right beside read, write and delete");
    }
    let name = format!("jwt:{subject}");
    let proof = Proof::Jwt { key_id, expires_at };
    let principal =
        Principal { name, tenant, tenants, namespaces, prefixes, rights, proof, context: Context::default() };
    Ok(Verified { principal, not_before, expires_at })
}

fn text(value: &Value) -> Result<&str, Refused> {
    value.as_str().ok_or("a claim that must be a text is none")
}

fn list(value: &Value) -> Result<Vec<&str>, Refused> {
    let values = value.as_array().ok_or("a claim that must be a list is none")?;
    values.iter().map(text).collect()
}

fn one_or_many(value: &Value) -> Result<Vec<&str>, Refused> {
    if value.is_string() { text(value).map(|one| vec![one]) } else { list(value) }
}

/// A `NumericDate`, which may have a fraction (RFC 7519 section 2).
#[allow(clippy::cast_possible_truncation)] // bounded before
fn moment(value: &Value) -> Result<Timestamp, Refused> {
    // The year 9999: far enough, and far from where a float or an integer would overflow.
    let seconds = value.as_f64().filter(|seconds| (0.0..=253_402_300_799.0).contains(seconds));
    seconds.map(|seconds| Timestamp((seconds * 1000.0) as i64)).ok_or("a time in it is no time")
}

/// `tenant` is where the principal is at home; `tenants` are all that it reaches. The rules' own tenant counts only for
/// tokens that name none.
fn tenants(claims: &Claims, rules: &JwtRules) -> Result<(Tenant, Tenants), Refused> {
    let read = |name: &str| Tenant::new(name).map_err(|_| "a tenant in it is no tenant");
    let home = claims.at(&rules.claims.tenant)?.map(|name| read(text(name)?)).transpose()?;
    let Some(all) = claims.at(&rules.claims.tenants)? else {
        let home = home.or_else(|| rules.tenant.clone()).ok_or("it names no tenant")?;
        return Ok((home, Tenants::Own));
    };
    let all = list(all)?;
    if all.len() > NAMES_MAX {
        return Err("it names too many tenants");
    }
    let all = all.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let home = home.or_else(|| all.first().cloned()).ok_or("it names no tenant")?;
    if !all.contains(&home) {
        return Err("its tenant is not among its tenants");
    }
    Ok((home, Tenants::These(all)))
}

fn patterns(names: &[&str]) -> Result<Vec<NamespacePattern>, Refused> {
    if names.len() > NAMES_MAX {
        return Err("it names too many namespaces");
    }
    let read = |name: &&str| NamespacePattern::parse(name).map_err(|_| "a namespace in it is none");
    names.iter().map(read).collect()
}

fn prefixes(names: &[&str]) -> Result<Vec<KeyPrefix>, Refused> {
    if names.len() > KEY_PREFIXES_MAX {
        return Err("it names too many prefixes of keys");
    }
    names.iter().map(|name| KeyPrefix::new(name).map_err(|_| "a prefix of keys in it is none")).collect()
}

/// What of a scope is a right of ours, behind `prefix`; issuers put other words there too. Without any, nothing is
/// allowed. Rights over the whole store need a prefix: a bare `operator` may be meant for another application.
fn rights(scope: &[&str], prefix: &str) -> Rights {
    let words = scope.iter().flat_map(|words| words.split_whitespace());
    let ours = words.filter_map(|word| word.strip_prefix(prefix));
    let rights = ours.filter_map(|word| Right::ALL.into_iter().find(|right| right.as_str() == word));
    rights.filter(|right| !prefix.is_empty() || !right.is_of_store()).collect()
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Once::deserialize(deserializer)? {
            Once(Value::Object(claims)) => Ok(Self(claims)),
            Once(_) => Err(D::Error::custom("no object")),
        }
    }
}

/// A JSON value whose objects have every member once; `serde_json` itself would keep the last of several.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnceVisitor;

        impl<'de> Visitor<'de> for OnceVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::String(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut values = Vec::new();
                while let Some(Once(value)) = items.next_element()? {
                    values.push(value);
                }
                Ok(Value::Array(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
                let mut object = Map::new();
                while let Some((name, Once(value))) = members.next_entry::<String, _>()? {
                    if object.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member twice"));
                    }
                }
                Ok(Value::Object(object))
            }
        }

        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}
