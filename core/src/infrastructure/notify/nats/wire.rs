//! What a NATS server says, and what it is told: the client protocol of docs.nats.io, as far as publishing takes it.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// Longest line. The one that introduces a server names its neighbours, too.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Longest message that is taken: acknowledgements have less than a kilobyte.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What it is, as JSON.
    Info(Bytes),
    /// A message on a subject that was subscribed to.
    Message(Message),
    /// It wants an answer.
    Ping,
    /// It has all that was sent before it was asked.
    Pong,
    /// Something was taken.
    Ok,
    /// Something was not.
    Error(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    /// What its headers begin with, instead of a body: 503 if nobody has subscribed to a request's subject.
    pub(super) status: Option<u16>,
    pub(super) body: Bytes,
}

/// A message whose body has not come yet.
struct Head {
    subject: String,
    headers: usize,
    size: usize,
}

/// Reads what a server says. Nothing longer than its bounds is held.
#[derive(Default)]
pub(super) struct Wire {
    head: Option<Head>,
    /// Bytes of the line under way that hold no end of it.
    looked: usize,
}

fn broken(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("no NATS server: {what}"))
}

impl Wire {
    /// The next line, without its end.
    fn line(&mut self, from: &mut BytesMut) -> std::io::Result<Option<Bytes>> {
        let Some(end) = from[self.looked..].windows(2).position(|two| two == b"\r\n") else {
            if from.len() > LINE_BYTES_MAX {
                return Err(broken("a line is too long"));
            }
            self.looked = from.len().saturating_sub(1);
            return Ok(None);
        };
        let line = from.split_to(self.looked + end).freeze();
        self.looked = 0;
        from.advance(2);
        Ok(Some(line))
    }

    fn body(&mut self, from: &mut BytesMut) -> std::io::Result<Option<Said>> {
        let Some(head) = self.head.take_if(|head| from.len() >= head.size + 2) else { return Ok(None) };
        let mut body = from.split_to(head.size).freeze();
        if !from.starts_with(b"\r\n") {
            return Err(broken("a message has no end"));
        }
        from.advance(2);
        let headers = body.split_to(head.headers);
        Ok(Some(Said::Message(Message { subject: head.subject, status: status(&headers), body })))
    }
}

/// `503` of `NATS/1.0 503`.
fn status(headers: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(headers.split(|b| *b == b'\r').next()?).ok()?;
    line.strip_prefix("NATS/1.0")?.split_ascii_whitespace().next()?.parse().ok()
}

/// `SUBJECT SID [REPLY] [HEADERS] SIZE`
fn head(rest: &str, with_headers: bool) -> Option<Head> {
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let fixed = if with_headers { 4 } else { 3 };
    if words.len() != fixed && words.len() != fixed + 1 {
        return None;
    }
    let size = words.last()?.parse().ok()?;
    let headers = if with_headers { words.get(words.len() - 2)?.parse().ok()? } else { 0 };
    (headers <= size).then(|| Head { subject: (*words[0]).to_owned(), headers, size })
}

impl Decoder for Wire {
    type Item = Said;
    type Error = std::io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> std::io::Result<Option<Said>> {
        if self.head.is_some() {
            return self.body(from);
        }
        let Some(line) = self.line(from)? else { return Ok(None) };
        let text = std::str::from_utf8(&line).map_err(|_| broken("a line is no text"))?;
        let (verb, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        match verb.to_ascii_uppercase().as_str() {
            "INFO" => Ok(Some(Said::Info(line.slice_ref(rest.trim().as_bytes())))),
            "PING" => Ok(Some(Said::Ping)),
            "PONG" => Ok(Some(Said::Pong)),
            "+OK" => Ok(Some(Said::Ok)),
            "-ERR" => Ok(Some(Said::Error(rest.trim().trim_matches('\'').escape_debug().to_string()))),
            verb @ ("MSG" | "HMSG") => {
                let head = head(rest, verb == "HMSG").ok_or_else(|| broken("a message has no size"))?;
                if head.size > MESSAGE_BYTES_MAX {
                    return Err(broken("a message is too long"));
                }
                self.head = Some(head);
                self.body(from)
            }
            _ => Err(broken("it says something else")),
        }
    }
}

/// Publishes a message with headers, whose answer, if any, goes to `reply`. No value may have a line feed in it.
pub(super) fn publish(subject: &str, reply: Option<&str>, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = "NATS/1.0\r\n".to_owned();
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    let reply = reply.map(|reply| format!(" {reply}")).unwrap_or_default();
    let size = head.len() + body.len();
    let mut frame = format!("HPUB {subject}{reply} {} {size}\r\n{head}", head.len()).into_bytes();
    frame.extend_from_slice(body);
    frame.extend_from_slice(b"\r\n");
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(text: &[u8], at_once: usize) -> std::io::Result<Vec<Said>> {
        let (mut wire, mut from, mut said) = (Wire::default(), BytesMut::new(), Vec::new());
        for piece in text.chunks(at_once) {
            from.extend_from_slice(piece);
            while let Some(one) = wire.decode(&mut from)? {
                said.push(one);
            }
        }
        Ok(said)
    }

    /// However the bytes come.
    #[test]
    fn what_a_server_says_is_read() {
        let text = b"INFO {\"max_payload\":10} \r\nPING\r\npong\r\n+OK\r\n-ERR 'Authorization Violation'\r\n\
            MSG a.b 1 5\r\nhe\r\no\r\nHMSG a.c 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\nHMSG a.d 1 r.r 12 14\r\nNATS/1.0\r\n\r\nok\r\n";
        let message = |subject: &str, status, body: &'static str| {
            Said::Message(Message {
                subject: subject.to_owned(),
                status,
                body: Bytes::from_static(body.as_bytes()),
            })
        };
        let expected = [
            Said::Info(Bytes::from_static(b"{\"max_payload\":10}")),
            Said::Ping,
            Said::Pong,
            Said::Ok,
            Said::Error("Authorization Violation".to_owned()),
            message("a.b", None, "he\r\no"),
            message("a.c", Some(503), ""),
            message("a.d", None, "ok"),
        ];
        for at_once in [1, 2, 3, 7, 1000] {
            assert_eq!(all(text, at_once).unwrap(), expected, "{at_once} bytes at once");
        }
    }

    /// Whoever answers there.
    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"MSG a 1\r\n",
            b"MSG a 1 99999999\r\n",
            b"HMSG a 1 9 5\r\nNATS/\r\n",
            b"MSG a 1 2\r\nabcd",
            b"\xff\xfe\r\n",
        ] {
            assert!(all(text, 1000).is_err(), "{}", String::from_utf8_lossy(text));
        }
        assert!(all(&vec![b'x'; LINE_BYTES_MAX + 1], 4096).is_err(), "a line without an end");
    }

    #[test]
    fn a_message_says_how_long_it_is() {
        let frame = publish("a.b", Some("in.1"), &[("Nats-Msg-Id", "7")], b"body");
        let text = String::from_utf8(frame).unwrap();
        assert_eq!(text, "HPUB a.b in.1 28 32\r\nNATS/1.0\r\nNats-Msg-Id: 7\r\n\r\nbody\r\n");
    }
}
