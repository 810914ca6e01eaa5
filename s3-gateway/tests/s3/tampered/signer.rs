//! A signer of version 4, written down from AWS's description, so that a request can be wrong in exactly one place
//! ("Signature Version 4 signing process"; "Transferring payload in multiple chunks").

use std::fmt::Write as _;
use std::time::SystemTime;

use ring::{digest, hmac};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::server::{Answer, Client, Server, raw};

/// The hash of no bytes.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// A request in parts. Its signature is put on before it is changed.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What signs.
pub(super) struct Signer {
    pub(super) access_key: String,
    secret: String,
    pub(super) date: String,
    pub(super) scope: String,
}

impl Signer {
    pub(super) fn new(client: &Client, at: SystemTime) -> Self {
        let date = OffsetDateTime::from(at)
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .unwrap();
        let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
        Self { access_key: client.access_key.clone(), secret: client.secret_key.clone(), date, scope }
    }

    fn key(&self) -> Vec<u8> {
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in self.scope.split('/') {
            key = mac(&key, part);
        }
        key
    }

    fn sign(&self, kind: &str, rest: &str) -> String {
        hex::encode(mac(&self.key(), &format!("{kind}\n{}\n{}\n{rest}", self.date, self.scope)))
    }

    /// The signature of a request whose payload is declared so.
    pub(super) fn of(&self, request: &Request, signed: &[&str], payload: &str) -> String {
        let mut query = request.query.clone();
        query.sort();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers: String =
            signed.iter().map(|name| format!("{name}:{}\n", request.header(name))).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{}\n{payload}",
            request.method,
            request.path,
            query.join("&"),
            signed.join(";")
        );
        self.sign("AWS4-HMAC-SHA256", &hash(canonical.as_bytes()))
    }

    /// Signs in the header.
    pub(super) fn header(&self, mut request: Request, payload: &str) -> Request {
        request.headers.push(("x-amz-content-sha256".into(), payload.into()));
        request.headers.push(("x-amz-date".into(), self.date.clone()));
        let mut signed: Vec<_> = request.headers.iter().map(|(name, _)| name.clone()).collect();
        signed.sort();
        let signed: Vec<_> = signed.iter().map(String::as_str).collect();
        self.authorize(&mut request, &signed, payload);
        request
    }

    /// Adds the header that says which of the others are signed, and their signature.
    pub(super) fn authorize(&self, request: &mut Request, signed: &[&str], payload: &str) {
        let signature = self.of(request, signed, payload);
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.access_key,
            self.scope,
            signed.join(";")
        );
        request.headers.push(("authorization".into(), value));
    }

    /// Signs in the query.
    pub(super) fn query(&self, mut request: Request, expires: &str) -> Request {
        let credential = format!("{}/{}", self.access_key, self.scope).replace('/', "%2F");
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &self.date),
            ("X-Amz-Expires", expires),
            ("X-Amz-SignedHeaders", "host"),
        ] {
            request.query.push((name.into(), value.into()));
        }
        let signature = self.of(&request, &["host"], "UNSIGNED-PAYLOAD");
        request.query.push(("X-Amz-Signature".into(), signature));
        request
    }

    /// A body in signed chunks behind a signed header, and with a signed trailer if one is given.
    pub(super) fn chunked(
        &self,
        mut request: Request,
        chunks: &[&[u8]],
        trailer: Option<(&str, &str)>,
    ) -> Chunked {
        let decoded: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        request.headers.push(("content-encoding".into(), "aws-chunked".into()));
        request.headers.push(("x-amz-decoded-content-length".into(), decoded.to_string()));
        let mut payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned();
        if let Some((name, _)) = trailer {
            payload.push_str("-TRAILER");
            request.headers.push(("x-amz-trailer".into(), name.into()));
        }
        let request = self.header(request, &payload);
        let mut before = request.header("authorization").rsplit('=').next().unwrap().to_owned();
        let mut signed = Vec::new();
        for chunk in chunks.iter().copied().chain([&b""[..]]) {
            let rest = format!("{before}\n{EMPTY}\n{}", hash(chunk));
            before = self.sign("AWS4-HMAC-SHA256-PAYLOAD", &rest);
            signed.push((chunk.len(), before.clone(), chunk.to_vec()));
        }
        let trailer = trailer.map(|(name, value)| {
            let rest = format!("{before}\n{}", hash(format!("{name}:{value}\n").as_bytes()));
            (name.to_owned(), value.to_owned(), self.sign("AWS4-HMAC-SHA256-TRAILER", &rest))
        });
        Chunked { request, chunks: signed, trailer }
    }
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.headers.iter_mut().find(|(given, _)| given == name) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name.into(), value)),
        }
    }

    /// The header with a piece of it replaced.
    pub(super) fn replace(&mut self, name: &str, from: &str, to: &str) {
        let value = self.header(name);
        assert!(value.contains(from), "{name}: {value} has no {from}");
        self.set(name, value.replacen(from, to, 1));
    }

    pub(super) async fn send(&self, server: &Server) -> Answer {
        let query: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!("{} {}{mark}{} HTTP/1.1\r\n", self.method, self.path, query.join("&"));
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\nconnection: close\r\n\r\n", self.body.len()).unwrap();
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        raw(server.address, &bytes, false).await
    }
}

/// A request whose body is in chunks: each its declared length, its signature, its bytes.
#[derive(Clone)]
pub(super) struct Chunked {
    pub(super) request: Request,
    pub(super) chunks: Vec<(usize, String, Vec<u8>)>,
    pub(super) trailer: Option<(String, String, String)>,
}

impl Chunked {
    pub(super) fn request(&self) -> Request {
        let mut body = Vec::new();
        for (length, signature, bytes) in &self.chunks {
            body.extend_from_slice(format!("{length:x};chunk-signature={signature}\r\n").as_bytes());
            body.extend_from_slice(bytes);
            // Behind the last chunk comes the trailer, or the line that ends it all.
            if *length > 0 || self.trailer.is_none() {
                body.extend_from_slice(b"\r\n");
            }
        }
        if let Some((name, value, signature)) = &self.trailer {
            let lines = format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
            body.extend_from_slice(lines.as_bytes());
        }
        Request { body, ..self.request.clone() }
    }

    pub(super) fn changed(&self, change: impl FnOnce(&mut Self)) -> Request {
        let mut changed = self.clone();
        change(&mut changed);
        changed.request()
    }
}
