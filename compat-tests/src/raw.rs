//! Requests as bytes on a socket, for what no proper client would send.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::content::sha256;
use crate::s3::ROOT_KEY;

/// A request in the making. Nothing in it is checked or normalised.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    declared: Option<u64>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; 0 where the server closed the connection without an answer.
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decoded from its transfer coding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What stands in the first XML element of that name.
    pub fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    }
}

impl Request {
    /// A request for `target`, which is sent as it stands.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            declared: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Declares another length than the body has.
    #[must_use]
    pub fn declared_length(mut self, length: u64) -> Self {
        self.declared = Some(length);
        self
    }

    /// Signs with the root key (AWS Signature Version 4, in headers), every header given so far included.
    /// The body's hash is that of the body, unless a header `x-amz-content-sha256` was given.
    #[must_use]
    pub fn signed(mut self, endpoint: &str) -> Self {
        let now = OffsetDateTime::now_utc();
        let stamp = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap();
        let day = &stamp[..8];
        self = self.header("host", authority(endpoint)).header("x-amz-date", &stamp);
        let given = self.headers.iter().find(|(name, _)| name == "x-amz-content-sha256");
        let hash = given.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let hash = hash.unwrap_or_else(|| {
            let hash = sha256(&self.body);
            self.headers.push(("x-amz-content-sha256".to_owned(), hash.clone().into_bytes()));
            hash
        });
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| {
                (name.to_ascii_lowercase(), String::from_utf8_lossy(value).trim().to_owned())
            })
            .collect();
        headers.sort();
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<Vec<_>>().concat();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut parameters: Vec<_> = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|p| if p.contains('=') { p.to_owned() } else { format!("{p}=") })
            .collect();
        parameters.sort();
        let request = format!("{}\n{path}\n{}\n{lines}\n{names}\n{hash}", self.method, parameters.join("&"));
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(request.as_bytes()));
        let key = [day, "us-east-1", "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{ROOT_KEY}").into_bytes(), |key, part| authenticated(&key, part));
        let signature = hex::encode(authenticated(&key, &text));
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={ROOT_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        self.header("authorization", value)
    }

    /// Sends the request and reads the answer to its end. A body shorter than declared is followed by the end
    /// of the stream.
    pub async fn send(self, endpoint: &str) -> Answer {
        let short = self.declared.is_some_and(|declared| declared > self.body.len() as u64);
        let mut stream = self.send_only(endpoint).await;
        if short {
            let _ = stream.shutdown().await;
        }
        let mut bytes = Vec::new();
        // A reset after an early refusal leaves what came before it.
        let _ = stream.read_to_end(&mut bytes).await;
        parse(&bytes)
    }

    /// Sends the request and returns the open connection, unread.
    pub async fn send_only(&self, endpoint: &str) -> TcpStream {
        let mut stream = TcpStream::connect(authority(endpoint)).await.expect("a connection");
        let length = self.declared.unwrap_or(self.body.len() as u64);
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let given = |name: &str| self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        if !given("host") {
            bytes.extend_from_slice(format!("host: {}\r\n", authority(endpoint)).as_bytes());
        }
        if !given("content-length") && !given("transfer-encoding") {
            bytes.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        // The server may refuse and close before it has read everything.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        stream
    }
}

fn authority(endpoint: &str) -> &str {
    endpoint.strip_prefix("http://").unwrap_or(endpoint)
}

fn authenticated(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn parse(bytes: &[u8]) -> Answer {
    let mut answer = Answer { status: 0, headers: Vec::new(), body: Vec::new() };
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return answer };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    answer.status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    // An interim answer (100 Continue) is followed by the real one.
    if answer.status / 100 == 1 {
        return parse(&bytes[end + 4..]);
    }
    let body = &bytes[end + 4..];
    answer.body = match answer.header("transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => unchunked(body),
        _ => body.to_owned(),
    };
    answer
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]).into_owned();
        let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16) else { break };
        let (start, stop) = (end + 2, end + 2 + size);
        if size == 0 || stop > body.len() {
            break;
        }
        whole.extend_from_slice(&body[start..stop]);
        body = body.get(stop + 2..).unwrap_or_default();
    }
    whole
}
