//! `multipart/form-data` as it arrives (RFC 7578): the fields before the file in bounded memory, the file as a
//! stream.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt as _};
use percent_encoding::percent_decode_str;
use tower::BoxError;

/// Most bytes before the file: fields, their names and separators. S3's limit is 20 KB; a policy within S3's own
/// limits fits.
const FIELDS_BYTES_MAX: usize = 64 << 10;

/// Most bytes that are read after the file, so that the connection can serve another request.
const EPILOGUE_BYTES_MAX: usize = 64 << 10;

/// Why a form cannot be read.
#[derive(Debug)]
pub(crate) enum FormError {
    /// It is not a form, or ends before its file.
    Malformed(&'static str),
    /// Its fields are too long.
    TooLong,
    /// The connection failed.
    Body(BoxError),
}

type Frames = BoxStream<'static, Result<Bytes, BoxError>>;

/// A form up to the start of its file.
pub(crate) struct Form {
    /// Every field before the file, in order: name in lower case, and value.
    pub(crate) fields: Vec<(String, String)>,
    /// The file's name without directories, if the browser sends one.
    pub(crate) file_name: Option<String>,
    /// The file's bytes.
    pub(crate) file: File,
}

/// The boundary in a `Content-Type`, if it is the type of a form.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (kind, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(content_type, "boundary")?;
    // RFC 2046 section 5.1.1.
    ((1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| (0x20..0x7f).contains(&byte)))
        .then_some(boundary)
}

/// Reads the fields of a form, up to the file.
pub(crate) async fn read(frames: Frames, boundary: &str) -> Result<Form, FormError> {
    let mut source = FormReader {
        frames,
        // The first delimiter may stand at the very beginning, without the line break that precedes others.
        buffer: BytesMut::from(&b"\r\n"[..]),
        delimiter: format!("\r\n--{boundary}").into_bytes(),
        left: FIELDS_BYTES_MAX,
    };
    let delimiter = source.delimiter.clone();
    source.take_until(&delimiter).await?;
    let mut fields = Vec::new();
    loop {
        let rest = source.take_until(b"\r\n").await?;
        if rest.starts_with(b"--") {
            return Err(FormError::Malformed("POST requires exactly one file upload per request."));
        }
        let head = source.take_until(b"\r\n\r\n").await?;
        let head =
            std::str::from_utf8(&head).map_err(|_| FormError::Malformed("A part's header is not UTF-8."))?;
        let disposition = header(head, "content-disposition")
            .filter(|value| value.trim_start().to_ascii_lowercase().starts_with("form-data"))
            .ok_or(FormError::Malformed("A part has no Content-Disposition of form-data."))?;
        let name = parameter(disposition, "name").ok_or(FormError::Malformed("A field has no name."))?;
        let name = name.to_ascii_lowercase();
        if name == "file" {
            let file_name = file_name(disposition);
            return Ok(Form { fields, file_name, file: File::behind(source) });
        }
        let value = source.take_until(&delimiter).await?;
        let value =
            String::from_utf8(value.to_vec()).map_err(|_| FormError::Malformed("A field is not UTF-8."))?;
        fields.push((name, value));
    }
}

/// A header of a part.
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.split("\r\n").find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A parameter of a header's value, quoted or not.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (text, next) = if let Some(quoted) = behind.strip_prefix('"') {
            unquote(quoted)
        } else {
            let (text, next) = behind.split_once(';').unwrap_or((behind, ""));
            (text.trim().to_owned(), next)
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = next.trim_start().trim_start_matches(';');
    }
}

/// A quoted string's text, and what follows it. Only a quote is escaped: browsers send the backslashes of a
/// path as they are.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &quoted[at + 1..]),
            '\\' if chars.next_if(|(_, next)| *next == '"').is_some() => text.push('"'),
            c => text.push(c),
        }
    }
    (text, "")
}

/// The file's name: the text after the last slash or backslash, as on S3.
fn file_name(disposition: &str) -> Option<String> {
    let extended = parameter(disposition, "filename*").and_then(|value| {
        let (charset, encoded) = value.split_once("''")?;
        let utf8 = charset.eq_ignore_ascii_case("utf-8");
        utf8.then(|| percent_decode_str(encoded).decode_utf8_lossy().into_owned())
    });
    let name = extended.or_else(|| parameter(disposition, "filename"))?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The first position of `needle` in `haystack`.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + at;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

struct FormReader {
    frames: Frames,
    buffer: BytesMut,
    /// A line break, two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// Bytes that the fields may still take.
    left: usize,
}

impl FormReader {
    /// Waits for more bytes; `false` at the end.
    async fn more(&mut self) -> Result<bool, FormError> {
        match self.frames.next().await {
            None => Ok(false),
            Some(Ok(frame)) => {
                self.buffer.extend_from_slice(&frame);
                Ok(true)
            }
            Some(Err(error)) => Err(FormError::Body(error)),
        }
    }

    /// The bytes before `mark`, which is consumed with them.
    async fn take_until(&mut self, mark: &[u8]) -> Result<Bytes, FormError> {
        loop {
            if let Some(at) = find(&self.buffer, mark) {
                self.left = self.left.checked_sub(at + mark.len()).ok_or(FormError::TooLong)?;
                let taken = self.buffer.split_to(at).freeze();
                self.buffer.advance(mark.len());
                return Ok(taken);
            }
            if self.buffer.len() > self.left {
                return Err(FormError::TooLong);
            }
            if !self.more().await? {
                return Err(FormError::Malformed("The form breaks off before its file."));
            }
        }
    }
}

/// The file of a form. Its bytes are those of the frames that came: only what may be the beginning of the delimiter is
/// copied.
pub(crate) struct File {
    frames: Frames,
    delimiter: Vec<u8>,
    /// The last bytes that came, as far as they may be the beginning of the delimiter: fewer than it has.
    held: Bytes,
    /// Bytes of the file that were not returned yet.
    ready: VecDeque<Bytes>,
    is_ended: bool,
}

impl File {
    /// The file whose first bytes may be in the buffer of `source`.
    fn behind(source: FormReader) -> Self {
        let FormReader { frames, mut buffer, delimiter, .. } = source;
        let begun = futures::stream::iter([Ok(buffer.split().freeze())]);
        let (held, ready) = (Bytes::new(), VecDeque::new());
        Self { frames: begun.chain(frames).boxed(), delimiter, held, ready, is_ended: false }
    }

    /// The next bytes of the file; `None` after its end. A connection that ends before the delimiter is an error.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, FormError>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            if self.is_ended {
                return None;
            }
            match self.frames.next().await {
                Some(Ok(frame)) => {
                    if self.take(&frame) {
                        self.is_ended = true;
                        self.drain().await;
                    }
                }
                None => {
                    self.is_ended = true;
                    return Some(Err(FormError::Malformed("The form breaks off within its file.")));
                }
                Some(Err(error)) => {
                    self.is_ended = true;
                    return Some(Err(FormError::Body(error)));
                }
            }
        }
    }

    /// Takes the next frame in. Whether the file ends in it.
    fn take(&mut self, frame: &Bytes) -> bool {
        let most = self.delimiter.len() - 1;
        // The delimiter may begin in what was held back.
        let begins = frame.slice(..most.min(frame.len()));
        let seam = Bytes::from([&self.held[..], &begins].concat());
        if let Some(at) = find(&seam, &self.delimiter) {
            self.give(seam.slice(..at));
            return true;
        }
        if frame.len() <= most {
            let certain = seam.len().saturating_sub(most);
            self.give(seam.slice(..certain));
            self.held = seam.slice(certain..);
            return false;
        }
        let held = std::mem::take(&mut self.held);
        self.give(held);
        if let Some(at) = find(frame, &self.delimiter) {
            self.give(frame.slice(..at));
            return true;
        }
        let certain = frame.len() - most;
        self.give(frame.slice(..certain));
        // Copied, so that it keeps no frame in memory.
        self.held = Bytes::copy_from_slice(&frame[certain..]);
        false
    }

    fn give(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.ready.push_back(bytes);
        }
    }

    /// Fields after the file are ignored, as on S3.
    async fn drain(&mut self) {
        let mut read = 0;
        while read < EPILOGUE_BYTES_MAX {
            match self.frames.next().await {
                Some(Ok(frame)) => read += frame.len(),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--XX\r\nContent-Disposition: form-data; name=\"kEy\"\r\n\r\na\r\n-b\r\n\
        --XX\r\ncontent-disposition: form-data; name=\"empty\"\r\n\r\n\r\n\
        --XX\r\nContent-Disposition: form-data; name=file; filename=\"C:\\dir\\na\\\"me.txt\"\r\n\
        Content-Type: text/plain\r\n\r\n\r\n--X\r\n--XY\r--XX\r\n\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"submit\"\r\n\r\nUpload\r\n--XX--\r\n";

    fn frames(text: &str, step: usize) -> Frames {
        let chunks: Vec<_> =
            text.as_bytes().chunks(step).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        futures::stream::iter(chunks).boxed()
    }

    async fn contents(file: &mut File) -> Result<Vec<u8>, FormError> {
        let mut bytes = Vec::new();
        while let Some(frame) = file.next().await {
            bytes.extend_from_slice(&frame?);
        }
        Ok(bytes)
    }

    /// Wherever the network cuts the form, fields and file are the same.
    #[tokio::test]
    async fn frames_may_end_anywhere() {
        for step in [1, 2, 3, 7, 64, 4096] {
            let mut form = read(frames(FORM, step), "XX").await.unwrap();
            let fields: Vec<_> = form.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(fields, [("key", "a\r\n-b"), ("empty", "")], "{step}");
            assert_eq!(form.file_name.as_deref(), Some("na\"me.txt"), "{step}");
            assert_eq!(contents(&mut form.file).await.unwrap(), b"\r\n--X\r\n--XY\r--XX\r\n", "{step}");
            assert!(form.file.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_form_that_breaks_off_is_an_error() {
        let end = FORM.find("\r\n--XX\r\nContent-Disposition: form-data; name=\"submit\"").unwrap();
        let mut form = read(frames(&FORM[..end + 4], 5), "XX").await.unwrap();
        assert!(matches!(contents(&mut form.file).await, Err(FormError::Malformed(_))));
        for broken in ["", "--XX--\r\n", "--YY\r\n", "--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--"] {
            let read = read(frames(broken, 8), "XX").await;
            assert!(matches!(read, Err(FormError::Malformed(_))), "{broken}");
        }
    }

    #[tokio::test]
    async fn fields_are_bounded_and_files_are_not() {
        let long = "x".repeat(FIELDS_BYTES_MAX);
        let field =
            format!("--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{long}\r\n--XX--\r\n");
        assert!(matches!(read(frames(&field, 1000), "XX").await, Err(FormError::TooLong)));
        let file =
            format!("--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{long}{long}\r\n--XX--");
        let mut form = read(frames(&file, 1000), "XX").await.unwrap();
        assert_eq!(contents(&mut form.file).await.unwrap().len(), 2 * FIELDS_BYTES_MAX);
    }

    #[test]
    fn boundaries_are_read_as_browsers_and_tools_write_them() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data;charset=utf-8; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("multipart/mixed; boundary=abc"), None);
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(
            file_name("form-data; name=\"file\"; filename*=UTF-8''%C3%A4.txt").as_deref(),
            Some("ä.txt")
        );
    }
}
