//! Good tokens of every algorithm, and a corpus of hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use super::*;
use crate::domain::address::{Namespace, SpaceAddress, Tenant};
use crate::domain::principal::Rights;

mod shapes;

/// 2023-11-14T22:13:20Z.
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const NOW_S: i64 = 1_700_000_000;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Made for tests, known to everybody, used for nothing else. PKCS #8, DER, base64.
const RSA: &str = include_str!("tests/rsa.pkcs8");

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Keys of every kind, and their public halves as a JWK set.
struct Signers {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    random: SystemRandom,
}

impl Signers {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(RSA.replace('\n', "")).unwrap()).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
            random,
        }
    }

    fn jwks(&self) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let point = self.ec.public_key().as_ref();
        json!({ "keys": [
            { "kid": "r", "kty": "RSA", "alg": "RS256", "use": "sig",
              "n": encode(public.n),
              "e": encode(public.e) },
            { "kid": "e", "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) },
            { "kid": "d", "kty": "OKP", "crv": "Ed25519", "x": encode(self.ed.public_key()) },
            { "kid": "h", "kty": "oct", "k": encode(SECRET), "alg": "HS256" },
            { "kid": "other-use", "kty": "oct", "k": encode(SECRET), "use": "enc" },
            { "kid": "other-kind", "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" },
        ]})
    }

    fn keys(&self) -> JwtKeys {
        JwtKeys::of_jwks(&self.jwks().to_string()).unwrap()
    }

    /// A token with this header and these claims, signed by the key that `signer` names.
    fn sign(&self, signer: &str, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let bytes = message.as_bytes();
        let signature = match signer {
            "r" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, bytes, &mut signature).unwrap();
                signature
            }
            "e" => self.ec.sign(&self.random, bytes).unwrap().as_ref().to_vec(),
            "d" => self.ed.sign(bytes).as_ref().to_vec(),
            _ => mac(SECRET, bytes),
        };
        format!("{message}.{}", encode(signature))
    }

    fn header(signer: &str) -> Value {
        let algorithm = match signer {
            "r" => "RS256",
            "e" => "ES256",
            "d" => "EdDSA",
            _ => "HS256",
        };
        json!({ "alg": algorithm, "kid": signer, "typ": "JWT" })
    }

    fn token(&self, signer: &str, claims: &Value) -> String {
        self.sign(signer, &Self::header(signer), claims)
    }
}

fn mac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    use ring::hmac;
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

fn claims() -> Value {
    json!({
        "sub": "ci", "tenant": "acme", "namespaces": ["models", "team-*"],
        "scope": "openid read write", "exp": NOW_S + 300,
    })
}

/// The claims with one member changed; `null` removes it.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

fn verifier(rules: JwtRules) -> (Signers, JwtVerifier) {
    let signers = Signers::new();
    let verifier = JwtVerifier::new(signers.keys(), rules);
    (signers, verifier)
}

#[tokio::test]
async fn every_algorithm_lets_its_own_tokens_in() {
    let (signers, verifier) = verifier(JwtRules::default());
    for signer in ["r", "e", "d", "h"] {
        let token = signers.token(signer, &claims());
        // The second time from memory.
        for _ in 0..2 {
            let who = verifier.verify(&token, NOW).await.unwrap();
            assert_eq!((who.name.as_str(), who.tenant.as_str()), ("jwt:ci", "acme"), "{signer}");
            assert_eq!(who.rights, Rights::parse("read,write").unwrap());
            let space = |namespace: &str| {
                SpaceAddress::new(Namespace::new(namespace).unwrap(), Tenant::new("acme").unwrap())
            };
            assert!(who.sees(&space("models")) && who.sees(&space("team-a")) && !who.sees(&space("other")));
        }
    }
}

/// A token from memory is judged by the clock like any other.
#[tokio::test]
async fn time_runs_for_tokens_too() {
    let (signers, verifier) = verifier(JwtRules::default());
    let mut claims = with("nbf", json!(NOW_S - 10));
    claims["exp"] = serde_json::from_str(&format!("{NOW_S}.5")).unwrap();
    let token = signers.token("d", &claims);
    let at = |seconds: i64| Timestamp(NOW.0 + seconds * 1000);
    let ok = async |seconds| verifier.verify(&token, at(seconds)).await.is_ok();
    assert!(ok(0).await && ok(60).await && ok(-70).await);
    assert!(!ok(61).await && !ok(-71).await);
}

#[tokio::test]
async fn tokens_end_with_their_key() {
    let (signers, verifier) = verifier(JwtRules::default());
    let token = signers.token("h", &claims());
    let kept = signers.token("r", &claims());
    assert!(verifier.verify(&token, NOW).await.is_ok());
    let mut set = signers.jwks();
    set["keys"].as_array_mut().unwrap().retain(|key| key["kid"] != "h");
    verifier.replace_keys(JwtKeys::of_jwks(&set.to_string()).unwrap());
    assert!(verifier.verify(&token, NOW).await.is_err());
    assert!(verifier.verify(&kept, NOW).await.is_ok());
    assert!(!verifier.has_key(Some("h")) && verifier.has_key(Some("r")));
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_matter() {
    let (signers, open) = verifier(JwtRules::default());
    let rules =
        JwtRules { issuer: Some("https://id".into()), audience: Some("store".into()), ..JwtRules::default() };
    let strict = JwtVerifier::new(signers.keys(), rules);
    let token = |iss: Value, aud: Value| {
        let mut claims = with("iss", iss);
        claims["aud"] = aud;
        signers.token("d", &claims)
    };
    let good = token(json!("https://id"), json!(["other", "store"]));
    assert!(strict.verify(&good, NOW).await.is_ok());
    assert!(strict.verify(&token(json!("https://id"), json!("store")), NOW).await.is_ok());
    for bad in [
        token(json!("https://evil"), json!("store")),
        token(json!(["https://evil", "https://id"]), json!("store")),
        token(Value::Null, json!("store")),
        token(json!("https://id"), json!("other")),
        token(json!("https://id"), json!([])),
        token(json!("https://id"), json!(7)),
        signers.token("d", &with("iss", json!("https://id"))),
        signers.token("d", &with("aud", json!("store"))),
    ] {
        assert!(strict.verify(&bad, NOW).await.is_err(), "{bad}");
    }
    // Meant for an audience, and the settings do not say that it is this server.
    assert!(open.verify(&good, NOW).await.is_err());
    assert!(open.verify(&signers.token("d", &with("iss", json!("any"))), NOW).await.is_ok());
}

#[tokio::test]
async fn tenants_may_be_several() {
    let (signers, verifier) = verifier(JwtRules::default());
    let mut several = with("tenants", json!(["acme", "beta"]));
    let who = verifier.verify(&signers.token("d", &several), NOW).await.unwrap();
    let tenant = |name: &str| Tenant::new(name).unwrap();
    assert!(who.reaches(&tenant("beta")) && !who.reaches(&tenant("evil")));
    several["tenant"] = json!("evil");
    assert!(verifier.verify(&signers.token("d", &several), NOW).await.is_err());
    several.as_object_mut().unwrap().remove("tenant");
    assert_eq!(verifier.verify(&signers.token("d", &several), NOW).await.unwrap().tenant, tenant("acme"));
}

#[tokio::test]
async fn a_scope_that_names_no_right_gives_none() {
    let (signers, verifier) = verifier(JwtRules::default());
    for scope in [Value::Null, json!(""), json!("READ readwrite *"), json!(["openid"])] {
        let who = verifier.verify(&signers.token("d", &with("scope", scope)), NOW).await.unwrap();
        assert_eq!(who.rights, Rights::default());
    }
    let list = signers.token("d", &with("scope", json!(["read", "delete admin"])));
    assert_eq!(
        verifier.verify(&list, NOW).await.unwrap().rights,
        Rights::parse("read,delete,admin").unwrap()
    );
}

/// Tokens that somebody might try. None is let in, and none crashes the judge.
// One list, so that each kind of hostility has one line in one place.
#[allow(clippy::too_many_lines)]
#[tokio::test]
async fn hostile_tokens_are_refused() {
    let (signers, verifier) = verifier(JwtRules::default());
    let good = signers.token("r", &claims());
    let parts: Vec<_> = good.split('.').collect();
    let mut corpus: Vec<(&str, String)> = Vec::new();

    // No signature, under every spelling, with and without something in its place.
    for none in ["none", "None", "NONE", "nOnE", ""] {
        for kid in [json!("r"), json!("h"), Value::Null] {
            let header = encode(json!({ "alg": none, "kid": kid }).to_string());
            corpus.push(("alg none", format!("{header}.{}.", parts[1])));
            corpus.push(("alg none", format!("{header}.{}", parts[1])));
            corpus.push(("alg none", format!("{header}.{}.{}", parts[1], parts[2])));
        }
    }
    // The public key of an asymmetric algorithm as the secret of a symmetric one, in every form it is known in.
    let set = signers.jwks();
    let point = signers.ec.public_key().as_ref().to_vec();
    let publics: [Vec<u8>; 6] = [
        signers.rsa.public().as_ref().to_vec(),
        set["keys"][0]["n"].as_str().unwrap().as_bytes().to_vec(),
        RsaPublicKeyComponents::<Vec<u8>>::from(signers.rsa.public()).n,
        set["keys"][0].to_string().into_bytes(),
        point,
        signers.ed.public_key().as_ref().to_vec(),
    ];
    for public in &publics {
        for kid in ["r", "e", "d", "h"] {
            let header = encode(json!({ "alg": "HS256", "kid": kid }).to_string());
            let message = format!("{header}.{}", parts[1]);
            let signature = encode(mac(public, message.as_bytes()));
            corpus.push(("public key as secret", format!("{message}.{signature}")));
        }
    }
    // One key's algorithm with another key's id, and each with a stranger's key.
    for signer in ["r", "e", "d", "h"] {
        for kid in
            ["r", "e", "d", "h", "missing", "other-use", "other-kind", "", "../../dev/null", "' OR 1=1"]
        {
            if kid != signer {
                let mut header = Signers::header(signer);
                header["kid"] = json!(kid);
                corpus.push(("another key's id", signers.sign(signer, &header, &claims())));
            }
        }
        for algorithm in ["RS256", "ES256", "EdDSA", "HS256", "HS384", "RS512", "PS256", "ES384", "rs256"] {
            if Signers::header(signer)["alg"] != algorithm {
                let header = json!({ "alg": algorithm, "kid": signer });
                corpus.push(("another algorithm", signers.sign(signer, &header, &claims())));
            }
        }
        let mut unnamed = Signers::header(signer);
        unnamed.as_object_mut().unwrap().remove("kid");
        corpus.push(("no kid among several keys", signers.sign(signer, &unnamed, &claims())));
        if signer != "h" && signer != "r" {
            corpus.push(("a stranger's key", Signers::new().token(signer, &claims())));
        }
    }
    // Keys that the token brings along.
    for (name, value) in [
        ("jwk", set["keys"][3].clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = json!({ "alg": "HS256" });
        header[name] = value;
        corpus.push(("a key of its own", signers.sign("h", &header, &claims())));
    }
    // Headers.
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("typ", json!("logout+jwt")),
        ("typ", json!("JWE")),
        ("typ", json!(7)),
        ("alg", json!(["RS256"])),
        ("alg", json!({ "RS256": true })),
        ("kid", json!(7)),
        ("kid", json!(["r"])),
    ] {
        let mut header = Signers::header("r");
        header[name] = value;
        corpus.push(("a strange header", signers.sign("r", &header, &claims())));
    }
    // Claims.
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("exp", json!(NOW_S - 60)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(NOW_S * 1000)),
        ("exp", json!([NOW_S + 300])),
        ("nbf", json!(NOW_S + 61)),
        ("nbf", json!("now")),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!("a\nINFO forged line")),
        ("sub", json!("x".repeat(257))),
        ("sub", json!({ "a": 1 })),
        ("aud", json!("somebody-else")),
        ("tenant", Value::Null),
        ("tenant", json!("")),
        ("tenant", json!("*")),
        ("tenant", json!("ACME")),
        ("tenant", json!("../acme")),
        ("tenant", json!(["acme"])),
        ("tenants", json!([])),
        ("tenants", json!(["evil"])),
        ("tenants", json!("acme")),
        ("tenants", json!(vec!["acme"; 65])),
        ("namespaces", json!(["*a"])),
        ("namespaces", json!(["a*b"])),
        ("namespaces", json!([""])),
        ("namespaces", json!([7])),
        ("namespaces", json!({})),
        ("namespaces", json!(vec!["a"; 65])),
        ("scope", json!(7)),
        ("scope", json!({ "read": true })),
    ] {
        corpus.push(("a strange claim", signers.token("r", &with(name, value))));
    }
    // What is no token at all.
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        good.clone() + ".",
        format!(".{good}"),
        format!("{good}="),
        good.replace('.', ".."),
        good[..good.len() - 4].to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}.{}", parts[0], parts[1], parts[2], parts[2]),
        format!("{}.{}.{}", parts[1], parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.!!!.{}", parts[0], parts[2]),
        "\u{0}.\u{0}.\u{0}".into(),
        "\u{1f511}.\u{1f511}.\u{1f511}".into(),
        "a".repeat(1 << 20),
        format!("{}.{}.{}", parts[0], "A".repeat(9000), parts[2]),
        format!("{}.{}.{}", encode("[".repeat(4000)), parts[1], parts[2]),
        format!("{}.{}.{}", encode("null"), parts[1], parts[2]),
        format!("{}.{}.{}", encode(r#"{"alg":"none","alg":"RS256","kid":"r"}"#), parts[1], parts[2]),
        format!("{}.{}.{}", encode([0xff, 0xfe]), parts[1], parts[2]),
    ] {
        corpus.push(("no token", text));
    }
    // A member twice: issuer and store could read different ones.
    for twice in [r#"{"tenant":"evil","#, r#"{"x":[{"a":1,"a":2}],"#] {
        let twice = claims().to_string().replace('{', twice);
        let message = format!("{}.{}", encode(Signers::header("h").to_string()), encode(twice));
        corpus.push(("a claim twice", format!("{message}.{}", encode(mac(SECRET, message.as_bytes())))));
    }
    // Any character changed anywhere.
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        corpus.push(("one character changed", String::from_utf8(bytes).unwrap()));
    }

    assert!(corpus.len() > 500);
    for (what, token) in &corpus {
        let who = verifier.verify(token, NOW).await;
        assert!(who.is_err(), "{what} was let in: {token}");
    }
    assert!(verifier.verify(&good, NOW).await.is_ok());
}

#[tokio::test]
async fn a_shared_secret_needs_no_id() {
    let verifier = JwtVerifier::new(JwtKeys::of_secret(SECRET).unwrap(), JwtRules::default());
    let signers = Signers::new();
    for header in [json!({ "alg": "HS256" }), json!({ "alg": "HS256", "kid": "whatever" })] {
        assert!(verifier.verify(&signers.sign("h", &header, &claims()), NOW).await.is_ok());
    }
    assert!(verifier.verify(&signers.token("r", &claims()), NOW).await.is_err());
    assert!(JwtKeys::of_secret(&SECRET[1..]).is_err());
}

#[test]
fn sets_that_cannot_be_meant_are_refused_without_repeating_them() {
    let set = |keys: Value| json!({ "keys": keys }).to_string();
    let oct = |kid: &str| json!({ "kty": "oct", "k": encode(SECRET), "kid": kid });
    for bad in [
        String::new(),
        "{}".into(),
        "[]".into(),
        set(json!([])),
        set(json!([{ "kty": "oct", "k": encode(SECRET), "use": "enc" }])),
        set(json!([{ "kty": "oct", "k": encode(&SECRET[1..]) }])),
        set(json!([{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }])),
        set(json!([{ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }])),
        set(json!([{ "kty": "OKP", "crv": "Ed25519" }])),
        // Of order 4 and, with the sign of x, of order 8: everyone can sign for them.
        set(json!([{ "kty": "OKP", "crv": "Ed25519", "x": encode([0; 32]) }])),
        set(json!([{ "kty": "OKP", "crv": "Ed25519", "x": "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU" }])),
        set(json!([oct("a"), oct("a")])),
        set(json!([oct("a"), { "kty": "oct", "k": encode(SECRET) }])),
        set(json!([oct("a")])).replace("\"kty\"", "\"k\":7,\"kty\""),
    ] {
        let error = JwtKeys::of_jwks(&bad).unwrap_err().to_string();
        assert!(error.contains("JUSTSTORAGE_JWT_JWKS") && !error.contains(&encode(SECRET)), "{error}");
    }
    assert!(!format!("{:?}", JwtKeys::of_secret(SECRET).unwrap()).contains("0123"));
}
