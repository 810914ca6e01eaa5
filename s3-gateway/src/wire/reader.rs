//! Converts XML of S3's clients into the plain form for s3s, as XML 1.0 defines it: CDATA, also beside text and
//! comments, prefixes, references, white space around numbers, byte order marks and UTF-16. It checks the document
//! against its schema in the same pass, in bounded memory.

use std::fmt::Write as _;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use s3s::{S3Error, S3Result};

use super::encoding::decode;
use crate::errors::{malformed_xml, not_implemented, unwritable};
use crate::operations::documents::{Document, Element, Kind};

/// Deepest nesting. S3's documents have at most six levels; ignored elements may contain more.
const DEPTH_MAX: usize = 32;

/// Most elements. A completion of 10,000 parts with a checksum each has 40,001.
const ELEMENTS_MAX: usize = 100_000;

const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// White space of XML 1.0 (section 2.3, production 3).
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The document in the plain form: elements of the schema without prefixes, text with its characters escaped,
/// numbers, booleans and names without white space around them.
pub(super) fn normalise(bytes: &[u8], document: &'static Document) -> S3Result<String> {
    let text = decode(bytes).map_err(malformed_xml)?;
    if !document.any_character && text.contains(unwritable) {
        return Err(malformed_xml("it contains a control character"));
    }
    let mut reader = NsReader::from_str(&text);
    reader.config_mut().check_comments = true;
    let mut writer = Writer::new(document, text.len());
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|error| malformed_xml(&written(&error.to_string())))?;
        match event {
            Event::Start(start) => writer.open(&reader, &start)?,
            Event::Empty(start) => {
                writer.open(&reader, &start)?;
                writer.close()?;
            }
            Event::End(_) => writer.close()?,
            Event::Text(text) => {
                let text = text.xml10_content();
                if text.contains("]]>") {
                    return Err(malformed_xml("]]> stands in its text"));
                }
                writer.text(&text)?;
            }
            Event::CData(text) => writer.characters(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character = resolve(&reference, document.any_character)?;
                writer.characters(character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Decl(_) if !first => return Err(malformed_xml("its declaration does not stand first")),
            Event::DocType(_) => return Err(malformed_xml("it has a document type declaration")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return writer.finish(),
        }
        first = false;
    }
}

/// The attributes of an element.
#[derive(Default)]
struct XmlAttributes {
    /// `xsi:nil`: the element counts as absent.
    nil: bool,
    /// `xsi:type`.
    kind: Option<String>,
}

fn attributes(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> S3Result<XmlAttributes> {
    let mut read = XmlAttributes::default();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed_xml(&written(&error.to_string())))?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| malformed_xml(&written(&error.to_string())))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        match namespace {
            ResolveResult::Unknown(prefix) if prefix != "xml" => return Err(undeclared(&prefix)),
            ResolveResult::Bound(namespace) if namespace.as_ref() == INSTANCE => match name.as_ref() {
                "nil" => read.nil = matches!(value.trim_matches(SPACE), "true" | "1"),
                "type" => read.kind = Some(value.trim_matches(SPACE).to_owned()),
                _ => {}
            },
            // S3's documents have no other attributes.
            _ => {}
        }
    }
    Ok(read)
}

fn undeclared(prefix: &str) -> S3Error {
    malformed_xml(&format!("the prefix {} is not declared", written(prefix)))
}

/// The character of a reference.
fn resolve(reference: &BytesRef<'_>, any_character: bool) -> S3Result<char> {
    let name: &str = reference;
    let character = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => name.strip_prefix('#').and_then(|number| {
            let digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok().filter(|_| digits(hex)),
                None => number.parse().ok().filter(|_| digits(number)),
            };
            char::from_u32(code?).filter(|c| any_character || !unwritable(*c))
        }),
    };
    character.ok_or_else(|| malformed_xml(&format!("the reference &{}; is not known", written(name))))
}

/// A client's text in a message, shortened.
fn written(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// An open element.
struct OpenElement {
    element: &'static Element,
    /// Its text so far, if it may contain text.
    text: String,
    /// Elements seen so far that may occur once.
    seen: u64,
    /// Its start in the output.
    begin: usize,
    nil: bool,
}

struct Writer {
    document: &'static Document,
    output: String,
    open: Vec<OpenElement>,
    /// Open elements inside an ignored one.
    ignored: usize,
    elements: usize,
    /// The namespace of the root.
    namespace: Option<String>,
    done: bool,
}

impl Writer {
    fn new(document: &'static Document, length: usize) -> Self {
        Self {
            document,
            output: String::with_capacity(length),
            open: Vec::new(),
            ignored: 0,
            elements: 0,
            namespace: None,
            done: false,
        }
    }

    fn open(&mut self, reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> S3Result<()> {
        let attributes = attributes(reader, start)?;
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(malformed_xml(&format!("it has more than {ELEMENTS_MAX} elements")));
        }
        if self.open.len() + self.ignored >= DEPTH_MAX {
            return Err(malformed_xml(&format!("it is nested deeper than {DEPTH_MAX} elements")));
        }
        if self.ignored > 0 {
            self.ignored += 1;
            return Ok(());
        }
        let (namespace, name) = reader.resolver().resolve_element(start.name());
        let name = name.as_ref();
        let namespace = match &namespace {
            ResolveResult::Unknown(prefix) => return Err(undeclared(prefix)),
            ResolveResult::Bound(namespace) => Some(namespace.as_ref()),
            ResolveResult::Unbound => None,
        };
        let element = match self.open.last_mut() {
            None if self.done => return Err(malformed_xml("it has two roots")),
            None => {
                let root = root(self.document, name)?;
                self.namespace = namespace.map(str::to_owned);
                root
            }
            Some(parent) => {
                // Children in no namespace, or in S3's own by another of its names, are meant as S3's.
                let own = namespace.is_none_or(|namespace| namespace.contains(".amazonaws.com/"))
                    || namespace == self.namespace.as_deref();
                child(parent, name, own)?
            }
        };
        match &element.kind {
            Kind::Ignored => {
                self.ignored = 1;
                return Ok(());
            }
            Kind::Refused(what) if !attributes.nil => {
                return Err(not_implemented(format!("{what} is not implemented (element {name}).")));
            }
            _ => {}
        }
        let begin = self.output.len();
        self.output.push('<');
        self.output.push_str(element.name);
        if let (Some(kind), Kind::Node(_)) = (&attributes.kind, &element.kind) {
            // A qualified name; S3's has no prefix.
            let kind = kind.rsplit_once(':').map_or(kind.as_str(), |(_, kind)| kind);
            self.output.push_str(" xsi:type=\"");
            escape(kind, &mut self.output);
            self.output.push('"');
        }
        self.output.push('>');
        self.open.push(OpenElement { element, text: String::new(), seen: 0, begin, nil: attributes.nil });
        Ok(())
    }

    /// Text outside of CDATA; between elements it may be white space.
    fn text(&mut self, text: &str) -> S3Result<()> {
        let leaf = self.open.last().is_some_and(|open| !matches!(open.element.kind, Kind::Node(_)));
        if !leaf && text.trim_matches(SPACE).is_empty() { Ok(()) } else { self.characters(text) }
    }

    /// Characters of an element's content.
    fn characters(&mut self, text: &str) -> S3Result<()> {
        if self.ignored > 0 {
            return Ok(());
        }
        match self.open.last_mut() {
            None => Err(malformed_xml("it has text outside of its root")),
            Some(open) if matches!(open.element.kind, Kind::Node(_)) => {
                if text.trim_matches(SPACE).is_empty() {
                    return Ok(());
                }
                Err(malformed_xml(&format!("{} has text of its own", open.element.name)))
            }
            Some(open) => {
                open.text.push_str(text);
                Ok(())
            }
        }
    }

    fn close(&mut self) -> S3Result<()> {
        if self.ignored > 0 {
            self.ignored -= 1;
            return Ok(());
        }
        let Some(open) = self.open.pop() else {
            return Err(malformed_xml("an element ends that never began"));
        };
        self.done = self.open.is_empty();
        if open.nil {
            if self.done || !open.text.is_empty() || open.seen > 0 {
                return Err(malformed_xml(&format!("{} is nil and has content", open.element.name)));
            }
            self.output.truncate(open.begin);
            return Ok(());
        }
        let word = open.text.trim_matches(SPACE);
        let name = open.element.name;
        match open.element.kind {
            Kind::Text => escape(&open.text, &mut self.output),
            Kind::Word => escape(word, &mut self.output),
            Kind::Number => {
                let number: i64 = Some(word)
                    .filter(|word| {
                        word.strip_prefix(['+', '-']).unwrap_or(word).bytes().all(|b| b.is_ascii_digit())
                    })
                    .and_then(|word| word.parse().ok())
                    .ok_or_else(|| malformed_xml(&format!("{name} must be an integer")))?;
                // Writing to a string does not fail.
                let _ = write!(self.output, "{number}");
            }
            Kind::Boolean => self.output.push_str(match word.to_ascii_lowercase().as_str() {
                "true" | "1" => "true",
                "false" | "0" => "false",
                _ => return Err(malformed_xml(&format!("{name} must be true or false"))),
            }),
            Kind::Node(_) | Kind::Ignored | Kind::Refused(_) => {}
        }
        let _ = write!(self.output, "</{name}>");
        Ok(())
    }

    fn finish(self) -> S3Result<String> {
        if self.done && self.open.is_empty() && self.ignored == 0 {
            return Ok(self.output);
        }
        Err(malformed_xml("it ends before its root does"))
    }
}

fn root(document: &'static Document, name: &str) -> S3Result<&'static Element> {
    if name == document.root.name || Some(name) == document.alias {
        return Ok(&document.root);
    }
    Err(malformed_xml(&format!("its root is {} and not {}", written(name), document.root.name)))
}

fn child(parent: &mut OpenElement, name: &str, own: bool) -> S3Result<&'static Element> {
    let within = parent.element.name;
    let Kind::Node(content) = parent.element.kind else {
        return Err(malformed_xml(&format!("{within} holds the element {} and not text", written(name))));
    };
    let found = content.iter().enumerate().find(|(_, element)| element.name == name && own);
    let Some((index, element)) = found else {
        return Err(malformed_xml(&format!("the element {} is not known in {within}", written(name))));
    };
    let bit = 1_u64 << index;
    if parent.seen & bit != 0 && !element.many {
        return Err(malformed_xml(&format!("{within} has two elements {name}")));
    }
    parent.seen |= bit;
    Ok(element)
}

/// Escapes text for XML. A carriage return is escaped too, because a reader would turn it into a line feed.
fn escape(text: &str, output: &mut String) {
    for c in text.chars() {
        match c {
            '&' => output.push_str("&amp;"),
            '<' => output.push_str("&lt;"),
            '>' => output.push_str("&gt;"),
            '"' => output.push_str("&quot;"),
            '\r' => output.push_str("&#13;"),
            c => output.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
