//! TLS on both fronts, clients that waste connections, JSON web tokens, and secrets that must not show.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use ring::hmac;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::harness::{Place, blocking_until, text, until};

/// Self-signed for localhost, good for a hundred years; made for this test and known to everybody.
const CERTIFICATES: [(&str, &str); 2] = [
    (include_str!("tls/one.pem"), include_str!("tls/one.key")),
    (include_str!("tls/two.pem"), include_str!("tls/two.key")),
];

/// A connection that offers these protocols and trusts both certificates.
fn connect(url: &str, protocols: &[&str]) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for (certificate, _) in CERTIFICATES {
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(url.split_once("://").unwrap().1)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(session, stream))
}

fn exchange(stream: &mut StreamOwned<ClientConnection, TcpStream>, bytes: &[u8]) -> String {
    stream.write_all(bytes).unwrap();
    let mut received = Vec::new();
    // An end without a farewell is an end too.
    let _ = stream.read_to_end(&mut received);
    text(&received)
}

fn certificate(url: &str) -> Vec<u8> {
    let stream = connect(url, &["http/1.1"]).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn both_fronts_speak_tls_and_take_a_new_certificate() {
    let place = Place::new();
    let (certificate_file, key_file) = (place.file("cert.pem"), place.file("key.pem"));
    let install = |which: usize| {
        std::fs::write(&certificate_file, CERTIFICATES[which].0).unwrap();
        std::fs::write(&key_file, CERTIFICATES[which].1).unwrap();
    };
    install(0);
    let [cert, key] = [&certificate_file, &key_file].map(|path| path.to_str().unwrap());
    let server = place.serve(&["--tls-cert", cert, "--tls-key", key]);
    assert!(server.native.starts_with("https://") && server.s3.starts_with("https://"));

    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = exchange(&mut connect(&server.native, &["http/1.1"]).unwrap(), request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange(&mut connect(&server.s3, &["http/1.1"]).unwrap(), request);
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let scrape = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = exchange(&mut connect(&server.native, &["http/1.1"]).unwrap(), scrape);
    // 29 October 2126, as `openssl x509 -enddate` reads the file.
    let ends = "activestorage_tls_certificate_expires_timestamp_seconds 4948958777\n";
    assert!(answer.contains(ends), "{answer}");
    // HTTP/2 where it is offered: the server's first frame is its settings (RFC 9113 section 3.4).
    let mut second = connect(&server.native, &["h2", "http/1.1"]).unwrap();
    assert_eq!(second.conn.alpn_protocol(), Some(&b"h2"[..]));
    second.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").unwrap();
    let mut frame = [0; 9];
    second.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4);
    assert!(connect(&server.s3, &["h2"]).is_err(), "S3 clients speak HTTP/1.1");
    // Plain HTTP is no TLS: the connection ends without an answer of HTTP.
    let mut plain = TcpStream::connect(server.native.split_once("://").unwrap().1).unwrap();
    plain.write_all(request).unwrap();
    let mut received = Vec::new();
    let _ = plain.read_to_end(&mut received);
    assert!(!text(&received).contains("HTTP/"), "{}", text(&received));

    let first = certificate(&server.native);
    // A pair that does not fit changes nothing.
    std::fs::write(&certificate_file, CERTIFICATES[1].0).unwrap();
    install(1);
    blocking_until("the old certificate is still shown", || {
        certificate(&server.native) != first && certificate(&server.s3) != first
    });
    std::fs::write(&key_file, "no key").unwrap();
    let second = certificate(&server.native);
    let log = place.file("server.log");
    blocking_until("the log does not name the broken key", || {
        std::fs::read_to_string(&log).unwrap().contains("their old content stays in force")
    });
    assert_eq!(certificate(&server.native), second);
    server.stop();
}

/// A client that trickles its header is cut off, as is one that says nothing, on either front; others are
/// served meanwhile. A header without end is refused.
#[test]
fn wasted_connections_end() {
    let place = Place::new();
    let server = place.serve(&["--idle-timeout", "1s"]);
    for url in [&server.native, &server.s3] {
        let address = url.split_once("://").unwrap().1;
        let open = |bytes: &[u8]| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(bytes).unwrap();
            stream
        };
        let mut wasted =
            [open(b""), open(b"G"), open(b"GET / HTTP/1.1\r\nhost: x\r\nx-a"), open(b"PRI * HT")];
        let mut trickling = open(b"GET / HTTP/1.1\r\n");
        // One byte a moment keeps nothing alive.
        let mut sent = 0;
        while trickling.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
            sent += 1;
            assert!(sent < 400, "still open after {sent} bytes");
        }
        let mut rest = Vec::new();
        for stream in &mut wasted {
            let ended = stream.read_to_end(&mut rest);
            assert!(
                !matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
                "{url}: still open"
            );
        }
        let endless = [b"GET /health HTTP/1.1\r\nx-long: ".to_vec(), vec![b'a'; 80 << 10]].concat();
        let mut stream = TcpStream::connect(address).unwrap();
        // It may be cut off while it is still being sent.
        let _ = stream.write_all(&endless);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || text(&answer).starts_with("HTTP/1.1 4"), "{}", text(&answer));
    }
    server.stop();
}

const JWT_SECRETS: [&str; 2] = ["first-secret-of-at-least-32-bytes", "other-secret-of-at-least-32-bytes"];

fn jwt(secret: &str, kid: &str, scope: &str) -> String {
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let expires = std::time::SystemTime::now() + Duration::from_secs(600);
    let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let header = encode(json!({ "alg": "HS256", "kid": kid }));
    let claims = encode(json!({ "sub": "ci", "tenant": "acme", "scope": scope, "exp": expires }));
    let message = format!("{header}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

fn jwks(keys: &[(&str, &str)]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|(kid, secret)| json!({ "kty": "oct", "kid": kid, "k": URL_SAFE_NO_PAD.encode(secret) }))
        .collect();
    json!({ "keys": keys }).to_string()
}

/// Rights over the whole store take a prefix: a bare word in a token may be meant for another application.
#[tokio::test]
async fn a_bare_scope_gives_no_right_over_the_store() {
    for (prefix, scope, rights) in [
        ("", "read admin operator metrics", json!(["read", "admin"])),
        ("store:", "store:read operator metrics", json!(["read"])),
        ("store:", "store:metrics store:operator", json!(["metrics", "operator"])),
    ] {
        let place = Place::new();
        let mut command = place.program(&["--auth", "required"]);
        command.env("JUSTSTORAGE_JWT_SECRET", JWT_SECRETS[0]).env("JUSTSTORAGE_JWT_RIGHTS_PREFIX", prefix);
        let server = place.start(command);
        let whoami = format!("{}/v1/admin/whoami", server.native);
        let token = jwt(JWT_SECRETS[0], "", scope);
        let answer = reqwest::Client::new().get(whoami).bearer_auth(token).send().await.unwrap();
        let me: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((&me["rights"], &me["proof"]), (&rights, &json!("jwt")), "{prefix} {scope}");
        assert_eq!(me["may"]["operate"], rights.as_array().unwrap().contains(&json!("operator")));
        server.stop();
    }
}

/// A key that leaves the file takes its tokens, and the URLs made with them, along.
#[tokio::test]
async fn tokens_come_and_go_with_their_keys() {
    let place = Place::new();
    let file = place.file("jwks.json");
    std::fs::write(&file, jwks(&[("a", JWT_SECRETS[0])])).unwrap();
    let server = place.serve(&["--auth", "required", "--jwt-jwks", file.to_str().unwrap()]);
    let http = reqwest::Client::new();
    let usage = format!("{}/v1/usage", server.native);
    let ask = async |token: &str| http.get(&usage).bearer_auth(token).send().await.unwrap().status();
    let (first, second) = (jwt(JWT_SECRETS[0], "a", "read write"), jwt(JWT_SECRETS[1], "b", "read"));
    assert_eq!(ask(&first).await, StatusCode::OK);
    assert_eq!(ask(&second).await, StatusCode::UNAUTHORIZED);
    let signed = http
        .post(format!("{}/v1/presign", server.native))
        .bearer_auth(&first)
        .json(&json!({ "method": "PUT", "namespace": "n", "tenant": "acme", "key": "k" }))
        .send()
        .await
        .unwrap();
    let signed: serde_json::Value = signed.json().await.unwrap();
    let url = signed["url"].as_str().unwrap();
    assert_eq!(http.put(url).body("x").send().await.unwrap().status(), StatusCode::CREATED);

    std::fs::write(&file, jwks(&[("b", JWT_SECRETS[1])])).unwrap();
    until("the new keys are not in force", async || {
        ask(&first).await == StatusCode::UNAUTHORIZED && ask(&second).await == StatusCode::OK
    })
    .await;
    assert_eq!(http.put(url).body("x").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // A file that cannot be meant leaves the keys before it in force.
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(ask(&second).await, StatusCode::OK);
    server.stop();
}

/// Everything that the program says, at the level of detail at which it says most, while every kind of secret is
/// made, used rightly and used wrongly.
#[tokio::test]
async fn no_secret_shows() {
    let place = Place::new();
    let master = "5e".repeat(32);
    let root_secret = "root-secret-that-nobody-may-see";
    let mut command = place.program(&["--auth", "required"]);
    command
        .env("RUST_LOG", "trace,s3s=trace")
        .env("JUSTSTORAGE_MASTER_KEY", &master)
        .env("JUSTSTORAGE_JWT_SECRET", JWT_SECRETS[0])
        .env("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", "root")
        .env("JUSTSTORAGE_S3_ROOT_SECRET_KEY", root_secret);
    let server = place.start(command);
    let make = |arguments: &[&str]| -> serde_json::Value {
        let mut command =
            place.program(&[&["key", "create", "--tenant", "acme", "--json"], arguments].concat());
        let output =
            command.env("RUST_LOG", "trace").env("JUSTSTORAGE_MASTER_KEY", &master).output().unwrap();
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for name in ["token", "secret_key"] {
            let shown = printed[name].as_str().unwrap_or("\0");
            assert!(!text(&output.stderr).contains(shown), "the log of `key create` shows it");
        }
        printed
    };
    let api = make(&["--kind", "api"]);
    let s3 = make(&["--kind", "s3"]);
    let field = |key: &serde_json::Value, name: &str| key[name].as_str().unwrap().to_owned();
    let (token, secret) = (field(&api, "token"), field(&s3, "secret_key"));
    let web = jwt(JWT_SECRETS[0], "", "read write");
    let (wrong_token, wrong_web) = (format!("{token}x"), format!("{web}x"));

    let http = reqwest::Client::new();
    let object = format!("{}/v1/objects/by-key/n/acme/k", server.native);
    for token in [&token, &web, &wrong_token, &wrong_web] {
        http.put(&object).bearer_auth(token).body("x").send().await.unwrap();
        http.get(&object).header("X-Api-Key", token).send().await.unwrap();
    }
    let body = json!({ "method": "GET", "namespace": "n", "tenant": "acme", "key": "k" });
    let presign = format!("{}/v1/presign", server.native);
    let signed = http.post(presign).bearer_auth(&token).json(&body).send().await.unwrap();
    let signed: serde_json::Value = signed.json().await.unwrap();
    let url = field(&signed, "url");
    let signature = url.split_once("js-signature=").unwrap().1.to_owned();
    assert_eq!(http.get(&url).send().await.unwrap().status(), StatusCode::OK);
    http.delete(&url).send().await.unwrap();

    for (access_key, secret) in
        [("root", root_secret), (&field(&s3, "access_key"), &secret), ("root", "wrong")]
    {
        let client = server.s3_as(access_key, secret);
        let _ = client.create_bucket().bucket("demo").send().await;
        let _ = client.put_object().bucket("demo").key("k").body(vec![1; 10].into()).send().await;
        let _ = client.get_object().bucket("demo").key("k").send().await;
    }
    let measure = field(&make(&["--kind", "api", "--rights", "metrics"]), "token");
    let metrics = http.get(format!("{}/metrics", server.native)).bearer_auth(&measure).send().await.unwrap();
    assert_eq!(metrics.status(), StatusCode::OK);
    let metrics = metrics.text().await.unwrap();
    let id = server.pid();
    let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap();
    server.stop();

    let log = std::fs::read_to_string(place.file("server.log")).unwrap();
    assert!(
        log.contains("DEBUG") && log.contains(" s3s::") && log.contains("audit"),
        "the log is not at its most detailed"
    );
    for (name, secret) in [
        ("the master key", master.as_str()),
        ("the root key's secret", root_secret),
        ("an S3 key's secret", &secret),
        ("an API token", &token),
        ("a wrong API token", &wrong_token),
        ("the secret of JSON web tokens", JWT_SECRETS[0]),
        ("a JSON web token", &web),
        ("a JSON web token's signature", web.rsplit('.').next().unwrap()),
        ("a URL's signature", &signature),
    ] {
        for (place, text) in [("log", &log), ("metrics", &metrics), ("arguments", &text(&arguments))] {
            if let Some(at) = text.find(secret) {
                let around: String =
                    text[..at].chars().rev().take(200).collect::<Vec<_>>().iter().rev().collect();
                panic!("{name} shows in the {place} behind: {around}");
            }
        }
    }
}
