//! Proofs of identity: JSON web tokens, the key sets they are checked with, API tokens, signed URLs.
//!
//! The first line of the input says what the rest is:
//!
//! - `claims`: a header and claims, each a line of JSON, that our issuer signs (HS256), so that they come past the
//!   signature to their readers;
//! - `token`: a bearer token as a stranger sends it. `{key}` in it becomes an API token that exists;
//! - `jwks`: a key set, then an empty line, then a token;
//! - `url`: method, namespace, tenant, key, end, maker and signature of a signed URL, a line each. `{expires}`,
//!   `{maker}` and `{signature}` become those of a URL that was signed, to read `models/acme/a`.
//!
//! Nothing panics, and no wrong token opens anything: each accepted one is judged here once more, by other means.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use juststorage_core::application::access::{
    Access, AuthMode, JwtKeys, JwtRules, LEEWAY, MasterKey, NewKey, NewKeyRequest, PresignRequest,
    PresignTarget, Presigned, PresignedCall,
};
use juststorage_core::application::error::Error;
use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{CredentialKind, MetadataStore};
use juststorage_core::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::bounds::UploadBounds;
use juststorage_core::domain::principal::{Principal, Right, Rights, Tenants};
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use serde_json::Value;
use sha2::Sha256;
use tokio::runtime::Runtime;

/// The secret of our issuer.
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// When all of this takes place, in seconds: 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(NOW * 1000)
    }
}

/// What requests prove themselves to, for as long as the process lives.
struct Door {
    runtime: Runtime,
    /// Knows our issuer's secret.
    ours: Access,
    /// Has its keys replaced.
    others: Access,
    api_token: String,
    request: PresignRequest,
    signed: Presigned,
}

fn door() -> &'static Door {
    static DOOR: OnceLock<Door> = OnceLock::new();
    DOOR.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let metadata = runtime.block_on(async {
            let root = tempfile::Builder::new().prefix("juststorage-fuzz-").tempdir().unwrap().keep();
            let url = format!("sqlite://{}", root.join("metadata.db").display());
            let metadata = SqlMetadata::connect(&url).await.unwrap();
            metadata.migrate().await.unwrap();
            Arc::new(metadata) as Arc<dyn MetadataStore>
        });
        let access = || {
            let master = MasterKey::from_hex(&"a1".repeat(32)).unwrap();
            let home = Tenant::new("default").unwrap();
            let keys = JwtKeys::of_secret(SECRET).unwrap();
            Access::new(metadata.clone(), Arc::new(Still), master, AuthMode::Required, None, home)
                .with_jwt(keys, JwtRules::default())
        };
        let (ours, others) = (access(), access());
        let tenant = Tenant::new("acme").unwrap();
        let key = NewKeyRequest {
            kind: CredentialKind::Api,
            tenant: tenant.clone(),
            namespaces: None,
            prefixes: None,
            rights: Rights::from_iter([Right::Read]),
            description: String::new(),
            expires_at: None,
        };
        let made = runtime.block_on(ours.create_key(key)).unwrap();
        let NewKey::Api { token: api_token, .. } = made else { panic!("an API key was asked for") };
        let maker = runtime.block_on(ours.bearer(&api_token)).unwrap();
        let request = PresignRequest {
            call: PresignedCall::Get,
            space: SpaceAddress::new(Namespace::new("models").unwrap(), tenant),
            target: PresignTarget::Key(Key::new("a").unwrap()),
            bounds: UploadBounds::default(),
        };
        let signed = ours.presign(&maker, &request, Duration::from_secs(60)).unwrap();
        Door { runtime, ours, others, api_token, request, signed }
    })
}

/// Anything that says who somebody is.
pub fn tokens(data: &[u8]) {
    let_in(data);
}

/// As [`tokens`]; whether it was let in, or for a key set, whether that was taken for one.
pub fn let_in(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Some((what, rest)) = text.split_once('\n') else { return false };
    match what {
        "claims" => claims(rest),
        "token" => token(rest.trim_end_matches('\n')),
        "jwks" => jwks(rest),
        "url" => url(rest),
        _ => false,
    }
}

fn bearer(access: &Access, token: &str) -> Option<Principal> {
    match door().runtime.block_on(access.bearer(token)) {
        Ok(principal) => Some(principal),
        Err(Error::Unauthenticated(_)) => None,
        Err(other) => panic!("{token:?} is refused with {other:?}"),
    }
}

fn mac(message: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(message.as_bytes());
    mac
}

fn claims(rest: &str) -> bool {
    let Some((header, claims)) = rest.split_once('\n') else { return false };
    let claims = claims.trim_end_matches('\n');
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(mac(&message).finalize().into_bytes());
    let Some(principal) = bearer(&door().ours, &format!("{message}.{signature}")) else { return false };
    judge(header, claims, &principal);
    true
}

/// Whether `principal` may be what these claims stand for.
fn judge(header: &str, claims: &str, principal: &Principal) {
    // A reader of members that it knows passes over others that a reader of everything refuses: too deep, too large.
    let (Ok(header), Ok(claims)) = (serde_json::from_str(header), serde_json::from_str(claims)) else {
        return;
    };
    let (Value::Object(header), Value::Object(claims)) = (header, claims) else {
        panic!("let in with something else than objects")
    };
    assert_eq!(header["alg"], "HS256");
    assert!(header.get("crit").is_none_or(Value::is_null), "an extension was passed over");
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[allow(clippy::cast_precision_loss)] // far below where it would be lost
    let (now, leeway) = (NOW as f64, LEEWAY.as_secs_f64());
    assert!(seconds("exp").is_some_and(|exp| exp + leeway >= now), "let in after its end");
    assert!(seconds("nbf").is_none_or(|nbf| nbf - leeway <= now), "let in before its time");
    assert!(claims.get("aud").is_none_or(Value::is_null), "meant for somebody else");
    assert_eq!(
        Some(principal.name.as_str()),
        claims["sub"].as_str().map(|sub| format!("jwt:{sub}")).as_deref()
    );
    let words = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => {
                many.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
            }
            _ => Vec::new(),
        }
    };
    let named = [words(claims.get("tenant")), words(claims.get("tenants"))].concat();
    let reached = match &principal.tenants {
        Tenants::Own => vec![principal.tenant.clone()],
        Tenants::These(all) => [all.as_slice(), std::slice::from_ref(&principal.tenant)].concat(),
        Tenants::Any => panic!("a token reaches everybody's data"),
    };
    assert!(reached.iter().all(|tenant| named.iter().any(|name| name == tenant.as_str())), "{reached:?}");
    let scope = words(claims.get("scope")).join(" ");
    for right in Right::ALL {
        // A right over the whole store takes a prefix, and here is none.
        let said = !right.is_of_store() && scope.split_whitespace().any(|word| word == right.as_str());
        assert_eq!(principal.rights.has(right), said, "{right:?} by the scope {scope:?}");
    }
    let namespaces = words(claims.get("namespaces"));
    let given = principal.namespaces.as_ref();
    assert_eq!(
        given.is_none(),
        claims.get("namespaces").is_none_or(Value::is_null),
        "more namespaces than said"
    );
    let given: Vec<_> = given.into_iter().flatten().map(ToString::to_string).collect();
    assert_eq!(given, namespaces);
}

fn token(text: &str) -> bool {
    let Door { ours, api_token, .. } = door();
    let token = text.replace("{key}", api_token);
    let Some(principal) = bearer(ours, &token) else { return false };
    if token.starts_with("js_") {
        assert_eq!(token, *api_token, "another API token is let in");
        return true;
    }
    let (message, signature) = token.rsplit_once('.').expect("let in without a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("let in with a broken signature");
    assert!(mac(message).verify_slice(&signature).is_ok(), "let in with another's signature");
    let parts = message.split_once('.').expect("let in without claims");
    let decoded = |part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    judge(&decoded(parts.0), &decoded(parts.1), &principal);
    true
}

fn jwks(rest: &str) -> bool {
    // One set of keys at a time, also if several processes run this target.
    static TURN: Mutex<()> = Mutex::new(());
    let (set, token) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let Ok(keys) = JwtKeys::of_jwks(set) else { return false };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let others = &door().others;
    others.replace_jwt_keys(keys);
    let token = token.trim_end_matches('\n');
    if token.is_empty() || token.starts_with("js_") {
        return true;
    }
    let first = bearer(others, token);
    assert_eq!(bearer(others, token), first, "the second answer differs from the first");
    // Once its key is gone it is worth nothing, however often it was let in before.
    others.replace_jwt_keys(JwtKeys::of_secret(b"a secret that nobody has ever signed with").unwrap());
    assert_eq!(bearer(others, token), None, "let in by a key that is gone");
    first.is_some()
}

fn url(rest: &str) -> bool {
    let Door { runtime, ours, request: made, signed: good, .. } = door();
    let text = rest
        .replace("{expires}", &good.expires.to_string())
        .replace("{maker}", &good.maker)
        .replace("{signature}", &good.signature);
    let read = || {
        let mut lines = text.split('\n');
        let request = PresignRequest {
            call: PresignedCall::of_method(lines.next()?)?,
            space: SpaceAddress::new(Namespace::new(lines.next()?).ok()?, Tenant::new(lines.next()?).ok()?),
            target: PresignTarget::Key(Key::new(lines.next()?).ok()?),
            bounds: UploadBounds::default(),
        };
        let signed = Presigned {
            expires: lines.next()?.parse().ok()?,
            maker: lines.next()?.to_owned(),
            signature: lines.next()?.to_owned(),
        };
        Some((request, signed))
    };
    let Some((request, signed)) = read() else { return false };
    match runtime.block_on(ours.presigned(&request, &signed)) {
        Ok(_) => {
            assert_eq!((&request, signed.expires), (made, good.expires), "this was never signed");
            assert_eq!(signed.maker, good.maker, "this was never signed");
            true
        }
        Err(Error::Unauthenticated(_)) => false,
        Err(other) => panic!("{text:?} is refused with {other:?}"),
    }
}
