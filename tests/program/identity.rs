//! JSON web tokens of identity providers: keys that are published at a URL, and claims that stand where Keycloak and
//! Dex put them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::harness::{Place, Server, until};

/// Made for tests, known to everybody, used for nothing else.
const RSA: &str = include_str!("../../core/src/application/access/jwt/tests/rsa.pkcs8");

const CERTIFICATE: &str = include_str!("tls/one.pem");
const CERTIFICATE_KEY: &str = include_str!("tls/one.key");

/// How a provider answers a request for its keys.
#[derive(Clone)]
enum Manner {
    Publish(Value),
    /// This status, and this head and body.
    Answer(&'static str, String),
    Hang,
}

/// A provider on a free port of this machine.
struct Provider {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    fn start(tls: bool, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (manner, asked) = (Arc::new(Mutex::new(manner)), Arc::new(AtomicUsize::new(0)));
        let (manners, count) = (manner.clone(), asked.clone());
        let tls = tls.then(|| {
            let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(CERTIFICATE_KEY.as_bytes()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth();
            Arc::new(config.with_single_cert(chain, key).unwrap())
        });
        std::thread::spawn(move || {
            // Connections that hang stay open until the test ends.
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let manner = manners.lock().unwrap().clone();
                match (manner, &tls) {
                    (Manner::Hang, _) => hanging.push(stream),
                    (manner, None) => answer(stream, &manner),
                    (manner, Some(config)) => {
                        let connection = ServerConnection::new(config.clone()).unwrap();
                        answer(StreamOwned::new(connection, stream), &manner);
                    }
                }
            }
        });
        Self { address, manner, asked }
    }

    fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: impl Read + Write, manner: &Manner) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            // A client that does not trust the certificate goes away.
            _ => return,
        }
    }
    let (status, rest) = match manner {
        Manner::Publish(set) => {
            let set = set.to_string();
            let head = format!("content-type: application/json\r\ncontent-length: {}", set.len());
            ("200 OK", format!("{head}\r\n\r\n{set}"))
        }
        Manner::Answer(status, rest) => (*status, rest.clone()),
        Manner::Hang => unreachable!("is kept open elsewhere"),
    };
    // A client that has read enough goes away.
    let _ = write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n{rest}");
    let _ = stream.flush();
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The keys of a provider.
struct Signers {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signers {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(RSA.replace('\n', "")).unwrap()).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap(),
            random,
        }
    }

    /// The set as a Keycloak realm publishes it: a key for encryption beside the one for signatures, and certificates
    /// of both. `ec`: a second key for signatures, as during a rotation.
    fn keycloak_set(&self, ec: bool) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let (n, e) = (encode(public.n), encode(public.e));
        let certificate = json!(["MIICmzCCAYMCBgGWq0YHBTANBgkqhkiG9w0BAQsFADARMQ8wDQYDVQQDDAZhY21lAA"]);
        let mut keys = vec![
            json!({ "kid": "O6nYVBP5Fg6rvQhUx7RU9cTk5nTz0fn5Q4WVeELGmGc", "kty": "RSA", "alg": "RSA-OAEP",
                "use": "enc", "x5c": certificate, "x5t": "Jy3Vt0vUX2Zk9bX7Zf9mJ1v7yR0", "n": n, "e": e }),
            json!({ "kid": "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE", "kty": "RSA", "alg": "RS256",
                "use": "sig", "x5c": certificate, "x5t": "Jy3Vt0vUX2Zk9bX7Zf9mJ1v7yR0",
                "x5t#S256": "dYkXy8xJ0Fq8b0vVxj5mJ0d2k2c0d0Yx3G5b1mYcW3A", "n": n, "e": e }),
        ];
        if ec {
            let point = self.ec.public_key().as_ref();
            keys.push(json!({ "kid": "ec-1", "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256",
                "x": encode(&point[1..33]), "y": encode(&point[33..]) }));
        }
        json!({ "keys": keys })
    }

    /// The set as Dex publishes it.
    fn dex_set(&self) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        json!({ "keys": [{ "use": "sig", "kty": "RSA", "kid": "4a1f", "alg": "RS256",
            "n": encode(public.n), "e": encode(public.e) }] })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = if header["alg"] == "ES256" {
            self.ec.sign(&self.random, message.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, message.as_bytes(), &mut signature).unwrap();
            signature
        };
        format!("{message}.{}", encode(signature))
    }
}

fn soon() -> u64 {
    let expires = SystemTime::now() + Duration::from_secs(600);
    expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a Keycloak access token for a user of the tenant `acme` with these roles of the realm.
fn keycloak_claims(roles: &[&str]) -> Value {
    json!({
        "exp": soon(), "iat": soon() - 900, "jti": "onrtac:7f2b6f0e-40f3-9f5a-5e0c-b2a1f26f1a33",
        "iss": "https://id.example.com/realms/acme", "aud": ["store", "account"],
        "sub": "08a8684b-db88-4b73-90a9-3cd1661f5466", "typ": "Bearer", "azp": "model-hub", "acr": "1",
        "realm_access": { "roles": roles },
        "resource_access": { "account": { "roles": ["manage-account", "view-profile"] } },
        "scope": "openid email profile", "email_verified": true, "preferred_username": "ada",
        "organization": { "tenant": "acme" },
    })
}

const KEYCLOAK: [&str; 14] = [
    "--auth",
    "required",
    "--jwt-issuer",
    "https://id.example.com/realms/acme",
    "--jwt-audience",
    "store",
    "--jwt-claim-subject",
    "preferred_username",
    "--jwt-claim-tenant",
    "organization.tenant",
    "--jwt-claim-rights",
    "realm_access.roles",
    "--jwt-rights-prefix",
    "store:",
];

/// Puts an object with a token; the answer's status.
async fn put(server: &Server, token: &str) -> StatusCode {
    let url = format!("{}/v1/objects/by-key/models/acme/weights", server.native);
    reqwest::Client::new().put(url).bearer_auth(token).body("x").send().await.unwrap().status()
}

async fn usage(server: &Server, token: &str) -> StatusCode {
    let url = format!("{}/v1/usage", server.native);
    reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap().status()
}

/// As who holds the right `metrics` reads it.
async fn metric(server: &Server, token: &str, line: &str) -> f64 {
    let url = format!("{}/metrics", server.native);
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line));
    value.unwrap_or_else(|| panic!("no {line} in {text}")).trim().parse().unwrap()
}

const FETCHED: &str = r#"activestorage_jwks_fetches_total{result="done"}"#;
const FAILED: &str = r#"activestorage_jwks_fetches_total{result="failed"}"#;

/// Tokens of a realm work by its published keys; a new key works as soon as a token names it; and the keys stay in
/// force when the provider goes away.
#[tokio::test]
async fn tokens_of_keycloak_are_let_in_by_the_keys_that_it_publishes() {
    let (place, signers) = (Place::new(), Signers::new());
    let provider = Provider::start(false, Manner::Publish(signers.keycloak_set(false)));
    let url = format!("http://{}/realms/acme/protocol/openid-connect/certs", provider.address);
    let pace = ["--jwt-jwks", &url, "--jwt-jwks-refresh", "1h", "--jwt-jwks-refresh-min", "1s"];
    let server = place.serve(&[&KEYCLOAK[..], &pace].concat());
    let header =
        json!({ "alg": "RS256", "typ": "JWT", "kid": "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE" });
    let writer = signers.sign(&header, &keycloak_claims(&["offline_access", "store:read", "store:write"]));
    // A role of the realm that is called as a right of ours, and a token for another service.
    let reader = signers.sign(&header, &keycloak_claims(&["store:read", "write", "admin"]));
    let measure = signers.sign(&header, &keycloak_claims(&["store:metrics"]));
    let mut other = keycloak_claims(&["store:read", "store:write"]);
    other["aud"] = json!("account");
    assert_eq!(put(&server, &writer).await, StatusCode::CREATED);
    assert_eq!(usage(&server, &reader).await, StatusCode::OK);
    assert_eq!(put(&server, &reader).await, StatusCode::FORBIDDEN);
    assert_eq!(usage(&server, &signers.sign(&header, &other)).await, StatusCode::UNAUTHORIZED);
    // The key for encryption signs nothing.
    let encryption = json!({ "alg": "RS256", "kid": "O6nYVBP5Fg6rvQhUx7RU9cTk5nTz0fn5Q4WVeELGmGc" });
    let wrong = signers.sign(&encryption, &keycloak_claims(&["store:read"]));
    assert_eq!(usage(&server, &wrong).await, StatusCode::UNAUTHORIZED);

    provider.behaves(Manner::Publish(signers.keycloak_set(true)));
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "ec-1" });
    let rotated = signers.sign(&header, &keycloak_claims(&["store:read"]));
    until("the new key is not in force", async || usage(&server, &rotated).await == StatusCode::OK).await;
    assert_eq!(usage(&server, &writer).await, StatusCode::OK);
    assert!(
        metric(&server, &measure, FETCHED).await >= 2.0 && metric(&server, &measure, FAILED).await == 0.0
    );

    provider.behaves(Manner::Answer("503 Service Unavailable", "content-length: 0\r\n\r\n".into()));
    let unknown =
        signers.sign(&json!({ "alg": "ES256", "kid": "made-up" }), &keycloak_claims(&["store:read"]));
    until("the provider is not asked again", async || {
        assert_eq!(usage(&server, &unknown).await, StatusCode::UNAUTHORIZED);
        metric(&server, &measure, FAILED).await > 0.0
    })
    .await;
    assert_eq!(usage(&server, &rotated).await, StatusCode::OK);
    assert_eq!(put(&server, &writer).await, StatusCode::CREATED);
    server.stop();
    let log = std::fs::read_to_string(place.file("server.log")).unwrap();
    assert!(log.contains("the last good keys stay in force") && log.contains("503"), "{log}");
}

/// Dex has fixed claims: the tenant is a setting, the rights are groups. Its keys come over TLS, from a server whose
/// authority the machine knows, and from no other.
#[tokio::test]
async fn tokens_of_dex_are_let_in_by_keys_that_come_over_tls() {
    let signers = Signers::new();
    let provider = Provider::start(true, Manner::Publish(signers.dex_set()));
    let url = format!("https://localhost:{}/dex/keys", provider.address.port());
    let arguments = [
        ["--auth", "required"],
        ["--jwt-jwks", &url],
        ["--jwt-jwks-refresh", "1s"],
        ["--jwt-issuer", "https://dex.example.com/dex"],
        ["--jwt-audience", "store"],
        ["--jwt-claim-subject", "email"],
        ["--jwt-claim-rights", "groups"],
        ["--jwt-rights-prefix", "store-"],
        ["--jwt-tenant", "acme"],
    ];
    let claims = json!({
        "iss": "https://dex.example.com/dex", "sub": "CiQwOGE4Njg0Yi1kYjg4LTRiNzMtOTBhOS0zY2QxNjYxZjU0NjYSBGxkYXA",
        "aud": "store", "exp": soon(), "iat": soon() - 900, "at_hash": "6yO7XhPbqzk5tV0AOwWMlw",
        "email": "ada@example.com", "email_verified": true, "name": "Ada", "preferred_username": "ada",
        "groups": ["developers", "store-read", "store-write"],
        "federated_claims": { "connector_id": "ldap", "user_id": "08a8684b" },
    });
    let token = signers.sign(&json!({ "alg": "RS256", "kid": "4a1f" }), &claims);
    let place = Place::new();
    std::fs::write(place.file("authority.pem"), CERTIFICATE).unwrap();
    std::fs::write(place.file("stranger.pem"), include_str!("tls/two.pem")).unwrap();
    let start = |authority: &str| {
        let mut command = place.program(&arguments.concat());
        command.env("SSL_CERT_FILE", place.file(authority));
        place.start(command)
    };
    let server = start("authority.pem");
    assert_eq!(put(&server, &token).await, StatusCode::CREATED);
    assert_eq!(usage(&server, &token).await, StatusCode::OK);
    server.stop();
    let server = start("stranger.pem");
    assert_eq!(usage(&server, &token).await, StatusCode::SERVICE_UNAVAILABLE);
    server.stop();
    let log = std::fs::read_to_string(place.file("server.log")).unwrap();
    assert!(log.contains("JWK set not fetched") && log.contains("certificate"), "{log}");
}

/// A provider that hangs, sends without end, or sends elsewhere, delays neither the start nor other requests. Requests
/// whose token cannot be judged are told to try again.
#[tokio::test]
async fn a_provider_that_misbehaves_stops_nobody() {
    let (place, signers) = (Place::new(), Signers::new());
    let provider = Provider::start(false, Manner::Hang);
    let url = format!("http://{}/certs", provider.address);
    let pace = ["--jwt-jwks", &url, "--jwt-jwks-refresh", "1s", "--jwt-jwks-timeout", "500ms"];
    // It hangs until the end of this part: that the server starts and serves shows that nothing waits for it.
    let server = place.serve(&[&KEYCLOAK[..], &pace].concat());
    assert!(provider.asked() >= 1);
    let header = json!({ "alg": "RS256", "kid": "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE" });
    let token = signers.sign(&header, &keycloak_claims(&["store:read"]));
    assert_eq!(usage(&server, &token).await, StatusCode::SERVICE_UNAVAILABLE);
    server.s3().create_bucket().bucket("demo").send().await.unwrap();

    let good = signers.keycloak_set(false);
    let long = json!({ "keys": good["keys"], "padding": "x".repeat(2 << 20) });
    let elsewhere = Provider::start(false, Manner::Publish(good.clone()));
    let redirect = format!("location: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    for (manner, said) in [
        (Manner::Publish(long), "length limit"),
        (Manner::Answer("302 Found", redirect), "302"),
        (Manner::Answer("200 OK", "content-length: 9\r\n\r\n<html></>".into()), "JSON web keys"),
        (Manner::Answer("200 OK", "content-length: 900\r\n\r\n{\"keys\":[".into()), "cannot be read"),
    ] {
        provider.behaves(manner);
        until(&format!("the log does not say {said}"), async || {
            let log = std::fs::read_to_string(place.file("server.log")).unwrap();
            log.lines().any(|line| line.contains("JWK set not fetched") && line.contains(said))
        })
        .await;
        assert_eq!(usage(&server, &token).await, StatusCode::SERVICE_UNAVAILABLE, "{said}");
    }
    assert_eq!(elsewhere.asked(), 0);
    provider.behaves(Manner::Publish(good));
    until("the keys are not in force", async || usage(&server, &token).await == StatusCode::OK).await;
    server.stop();
}
