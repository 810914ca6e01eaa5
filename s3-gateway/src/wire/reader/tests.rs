//! Every document that an operation takes, written in every way that XML 1.0 allows, reads the same.

#![allow(clippy::unwrap_used)]

use proptest::prelude::{any, proptest};

use super::*;
use crate::operations::{BodyKind, OFFERED};

/// The documents of all operations, with their names.
fn documents() -> impl Iterator<Item = (&'static str, &'static Document)> {
    OFFERED.iter().filter_map(|operation| match operation.body {
        BodyKind::Xml { document, .. } => Some((operation.name, document)),
        _ => None,
    })
}

/// The document of an operation.
fn document_of(operation: &str) -> &'static Document {
    documents().find(|(name, _)| *name == operation).unwrap().1
}

/// A document of a schema.
struct Tree {
    element: &'static Element,
    text: String,
    children: Vec<Tree>,
}

/// Choices that a seed makes (xorshift64*).
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * (bound as u128);
        usize::try_from(wide >> 64).unwrap()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn text(&mut self, pieces: &[&str]) -> String {
        (0..self.below(5)).map(|_| self.of(pieces)).collect()
    }

    fn tree(&mut self, element: &'static Element) -> Tree {
        let (mut text, mut children) = (String::new(), Vec::new());
        match element.kind {
            Kind::Text => {
                text =
                    self.text(&["logs/", " ", "\n", "\r", "\t", "&", "<", "]]>", "\"", "'", "ä", "😀", "a"]);
            }
            Kind::Word => text = self.text(&["Enabled", "&", "ä", "a b", "<"]).trim_matches(SPACE).to_owned(),
            Kind::Number => text = self.of(&["0", "-7", "42", "5368709120"]).to_owned(),
            Kind::Boolean => text = self.of(&["true", "false"]).to_owned(),
            Kind::Node(content) => {
                for child in content.iter().filter(|child| !matches!(child.kind, Kind::Refused(_))) {
                    let times = if child.many { self.below(4) } else { self.below(2) };
                    children.extend((0..times).map(|_| self.tree(child)));
                }
            }
            Kind::Ignored | Kind::Refused(_) => {}
        }
        Tree { element, text, children }
    }

    /// Text as one of the many ways to write it.
    fn write_text(&mut self, text: &str, output: &mut String) {
        for c in text.chars() {
            match self.below(6) {
                0 if c != '\r' => {
                    let inner = if c == '>' { "]]><![CDATA[>".to_owned() } else { c.to_string() };
                    let _ = write!(output, "<![CDATA[{inner}]]>");
                }
                1 => {
                    let _ = write!(output, "&#{};", u32::from(c));
                }
                2 => {
                    let _ = write!(output, "&#x{:X};", u32::from(c));
                }
                choice => {
                    match c {
                        '&' => output.push_str("&amp;"),
                        '<' => output.push_str("&lt;"),
                        '>' => output.push_str("&gt;"),
                        '\'' => output.push_str("&apos;"),
                        '"' if choice > 3 => output.push_str("&quot;"),
                        // A line feed may be written as a carriage return and a line feed.
                        '\n' => output.push_str(["\r\n", "\n"][choice % 2]),
                        '\r' => output.push_str("&#13;"),
                        c => output.push(c),
                    }
                    if choice == 5 {
                        output.push_str(self.of(&["<!-- in between -->", "<?a pi?>", "<![CDATA[]]>"]));
                    }
                }
            }
        }
    }

    fn write(&mut self, tree: &Tree, root: &str, prefix: &str, output: &mut String) {
        let name = format!("{prefix}{}", tree.element.name);
        let space = self.of(&["", " ", "\n  "]);
        let _ = write!(output, "<{name}{root}{space}>");
        let padding = [" ", "\n", "\t", "", "<!-- 1 -->", "\r\n"];
        match tree.element.kind {
            Kind::Node(_) => {
                for child in &tree.children {
                    output.push_str(self.of(&padding));
                    self.write(child, "", prefix, output);
                }
                output.push_str(self.of(&padding));
            }
            Kind::Text => self.write_text(&tree.text, output),
            Kind::Ignored => output.push_str("<Any>thing<At all='1'/></Any>"),
            Kind::Word | Kind::Number | Kind::Boolean | Kind::Refused(_) => {
                output.push_str(self.of(&padding));
                let text = match (tree.text.as_str(), self.below(3)) {
                    ("true", 0) => "1",
                    ("true", 1) => "True",
                    ("false", 0) => "0",
                    (text, _) => text,
                };
                self.write_text(text, output);
                output.push_str(self.of(&padding));
            }
        }
        let _ = write!(output, "</{name}{space}>");
    }

    /// The document in some encoding, with some namespace, between what may stand around it.
    fn document(&mut self, tree: &Tree) -> Vec<u8> {
        let s3 = "http://s3.amazonaws.com/doc/2006-03-01/";
        let (root, prefix) = match self.below(4) {
            0 => (String::new(), ""),
            1 => (format!(" xmlns=\"{s3}\""), ""),
            2 => (format!(" xmlns:ns2='{s3}'"), "ns2:"),
            _ => (
                " xmlns=\"urn:other\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"".to_owned(),
                "",
            ),
        };
        let encoding = self.below(5);
        let name = if encoding < 2 { "UTF-8" } else { "utf-16" };
        let declaration = format!("<?xml version=\"1.0\" encoding=\"{name}\" standalone='yes'?>\n");
        let mut text = if self.below(2) == 0 { String::new() } else { declaration };
        self.write(tree, &root, prefix, &mut text);
        text.push_str(self.of(&["", "\n", "<!-- end -->", "<?end?>\n"]));
        let marked = format!("\u{feff}{text}");
        let wide = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect();
        match encoding {
            0 => text.into_bytes(),
            1 => marked.into_bytes(),
            2 => wide(&marked, u16::to_le_bytes),
            3 => wide(&marked, u16::to_be_bytes),
            _ => wide(&text, u16::to_le_bytes),
        }
    }
}

fn plain(tree: &Tree, output: &mut String) {
    let name = tree.element.name;
    match tree.element.kind {
        Kind::Ignored => return,
        Kind::Node(_) => {
            let _ = write!(output, "<{name}>");
            tree.children.iter().for_each(|child| plain(child, output));
        }
        _ => {
            let _ = write!(output, "<{name}>");
            escape(&tree.text, output);
        }
    }
    let _ = write!(output, "</{name}>");
}

proptest! {
    #[test]
    fn every_way_to_write_a_document_reads_the_same(seed in any::<u64>()) {
        let mut choice = Choice(seed | 1);
        for (operation, document) in documents() {
            let tree = choice.tree(&document.root);
            let mut meant = String::new();
            plain(&tree, &mut meant);
            let written = choice.document(&tree);
            let read = normalise(&written, document);
            let shown = String::from_utf8_lossy(&written);
            assert_eq!(read.as_deref().ok(), Some(meant.as_str()), "{operation} {read:?}\n{shown}");
            // What is plain stays as it is.
            assert_eq!(normalise(meant.as_bytes(), document).unwrap(), meant);
        }
    }

    /// Every input is answered with a document or a refusal.
    #[test]
    fn nothing_is_read_that_is_no_document(bytes in any::<Vec<u8>>(), at in any::<usize>()) {
        let lifecycle = document_of("PutBucketLifecycleConfiguration");
        assert!(normalise(&bytes, lifecycle).is_err());
        let mut cut = b"<LifecycleConfiguration><Rule><ID>a</ID></Rule></LifecycleConfiguration>".to_vec();
        cut.truncate(at % cut.len());
        assert!(normalise(&cut, lifecycle).is_err());
    }
}

fn refused(operation: &str, xml: &str) -> (u16, String) {
    let error = normalise(xml.as_bytes(), document_of(operation)).unwrap_err();
    (error.status_code().unwrap().as_u16(), error.message().unwrap().to_owned())
}

/// Every element that may not be there is named, wherever it stands.
#[test]
fn an_unknown_element_is_refused_by_name_everywhere() {
    fn walk(element: &Element, before: &str, after: &str, operation: &str) {
        let name = element.name;
        let Kind::Node(content) = element.kind else {
            if !matches!(element.kind, Kind::Ignored | Kind::Refused(_)) {
                let inside = format!("{before}<{name}><Nonsense/></{name}>{after}");
                let (status, message) = refused(operation, &inside);
                assert!(status == 400 && message.contains("Nonsense"), "{operation} {inside}: {message}");
            }
            return;
        };
        let (before, after) = (format!("{before}<{name}>"), format!("</{name}>{after}"));
        let (status, message) = refused(operation, &format!("{before}<Nonsense>1</Nonsense>{after}"));
        assert!(status == 400 && message.contains("Nonsense"), "{operation} {name}: {message}");
        let (status, _) = refused(operation, &format!("{before}text{after}"));
        assert_eq!(status, 400, "{operation} {name} takes no text");
        for child in content {
            if let Kind::Refused(what) = child.kind {
                let (status, message) = refused(operation, &format!("{before}<{}/>{after}", child.name));
                assert!(status == 501 && message.starts_with(what), "{operation} {}: {message}", child.name);
                assert!(message.contains(child.name), "{message}");
            } else if !child.many && !matches!(child.kind, Kind::Ignored | Kind::Number | Kind::Boolean) {
                let twice = format!("{before}<{0}></{0}><{0}></{0}>{after}", child.name);
                let (status, message) = refused(operation, &twice);
                assert!(status == 400 && message.contains(child.name), "{operation} {twice}: {message}");
            }
            walk(child, &before, &after, operation);
        }
    }
    for (operation, document) in documents() {
        walk(&document.root, "", "", operation);
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let deep = format!("<Tagging>{}", "<TagSet>".repeat(40));
    let owner = "<AccessControlPolicy><Owner><DisplayName>".to_owned() + &"<a>".repeat(40);
    let many = format!("<Delete>{}</Delete>", "<Object/>".repeat(ELEMENTS_MAX));
    let tagging = [
        "",
        " ",
        "Enabled",
        "<Tagging>",
        "<Tagging/><Tagging/>",
        "<Tagging/>x",
        "<Tagging/>&amp;",
        "<Tagging/><![CDATA[x]]>",
        "<Tagging></tagging>",
        "<Tag/>",
        "\n<?xml version=\"1.0\"?><Tagging/>",
        "<!DOCTYPE Tagging [<!ENTITY a \"b\">]><Tagging><TagSet/></Tagging>",
        "<!DOCTYPE Tagging><Tagging/>",
        "<Tagging><TagSet><Tag><Key>&a;</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>&#1;</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>&#xD800;</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>&#x;</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>a & b</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>a]]>b</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>\u{1}</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>\u{ffff}</Key></Tag></TagSet></Tagging>",
        "<Tagging><!-- a -- b --><TagSet/></Tagging>",
        "<ns2:Tagging><ns2:TagSet/></ns2:Tagging>",
        "<Tagging xmlns:o=\"urn:other\"><o:TagSet/></Tagging>",
        "<Tagging a=\"1\" a=\"2\"/>",
        &deep,
    ];
    for xml in tagging {
        assert_eq!(refused("PutObjectTagging", xml).0, 400, "{xml:?}");
    }
    assert!(refused("PutObjectAcl", &owner).1.contains("deeper"));
    assert!(refused("DeleteObjects", &many).1.contains("more than"));
    for number in ["", "1.5", "12abc", "0x10", "99999999999999999999", "+", "1 2"] {
        let xml = format!(
            "<CORSConfiguration><CORSRule><MaxAgeSeconds>{number}</MaxAgeSeconds></CORSRule></CORSConfiguration>"
        );
        assert!(refused("PutBucketCors", &xml).1.contains("MaxAgeSeconds"), "{number}");
    }
    let truth = "<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></PublicAccessBlockConfiguration>";
    assert!(refused("PutPublicAccessBlock", truth).1.contains("BlockPublicAcls"));
}

/// .NET writes what is absent so: an empty prefix would expire everything.
#[test]
fn what_is_nil_is_absent() {
    let xsi = "xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"";
    let nil = format!("<Delete {xsi}><Object><Key>k</Key><VersionId i:nil=\"true\"/></Object></Delete>");
    let delete = document_of("DeleteObjects");
    let plain = normalise(nil.as_bytes(), delete).unwrap();
    assert_eq!(plain, "<Delete><Object><Key>k</Key></Object></Delete>");
    let full = nil.replace("\"true\"/>", "\"true\">x</VersionId>");
    assert!(normalise(full.as_bytes(), delete).is_err());
}

#[test]
fn grantees_keep_their_type() {
    let acl = "<AccessControlPolicy xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\"><AccessControlList><Grant>\
         <Grantee x:type=\"CanonicalUser\"><ID> me </ID><DisplayName>I</DisplayName></Grantee>\
         <Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>";
    let plain = normalise(acl.as_bytes(), document_of("PutBucketAcl")).unwrap();
    assert!(plain.contains("<Grantee xsi:type=\"CanonicalUser\"><ID>me</ID></Grantee>"), "{plain}");
}

/// Keys may hold what XML cannot; nothing else may.
#[test]
fn keys_to_be_deleted_hold_any_character() {
    let delete = document_of("DeleteObjects");
    for key in ["k\u{1}", "k&#1;"] {
        let xml = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
        assert!(normalise(xml.as_bytes(), delete).unwrap().contains("<Key>k\u{1}</Key>"), "{key:?}");
    }
}
