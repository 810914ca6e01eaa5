//! The report of a comparison as one page for people: text and a little style, no script, nothing that is loaded.
//!
//! Keys are what uploaders chose. So every text is escaped, what is not visible is written out, and each key keeps the direction
//! of its letters to itself.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:0 0 1.5rem}td,th{border:1px solid #999;padding:.25rem .6rem;text-align:left;\
vertical-align:top}td.n{text-align:right}code,.k{font-family:monospace;overflow-wrap:anywhere}\
.no{color:#a00000;font-weight:bold}.yes{color:#006000;font-weight:bold}";

/// Figures, and what they are to a reader.
const COUNTS: [(&str, &str); 9] = [
    ("matched", "objects are the same on both sides"),
    ("bytes", "bytes in those"),
    ("differ", "objects differ"),
    ("only_upstream", "objects are only upstream"),
    ("only_here", "objects are only here: written since"),
    ("replaced_here", "objects were replaced here since"),
    ("removed_here", "objects were removed here since"),
    ("changed_there", "findings are changes that a client made upstream after the object was fetched"),
    ("found", "findings in all"),
];

/// Figures of versions, where both sides keep them and everything goes to both.
const VERSIONS: [(&str, &str); 6] = [
    ("keys", "keys have the same versions and delete markers on both sides, in the same order"),
    ("versions", "versions and delete markers in those"),
    ("differ", "keys have other versions"),
    ("only_upstream", "versions are only upstream: its own, from before"),
    ("needless_markers", "delete markers are only here: the upstream makes none that hide nothing"),
    ("waiting", "keys wait to be sent"),
];

/// What a proof is to a reader.
fn proof(name: &str) -> &str {
    match name {
        "md5" => "the MD5 that is the entity tag",
        "checksum" => "a checksum of the whole object",
        "parts" => "the entity tag, computed again from the parts",
        "twice" => "read twice, and both readings were the same",
        other => other,
    }
}

/// Text that stays text: markup is escaped, and what is not visible or turns the direction is written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

/// A key, apart from the text around it.
fn key(value: &Value) -> String {
    format!("<bdi class=\"k\">{}</bdi>", text(value))
}

/// The whole page.
pub(super) fn render(document: &Value) -> String {
    let (report, signature) = (&document["report"], &document["signature"]);
    let space = format!("{}/{}", text(&report["namespace"]), text(&report["tenant"]));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Comparison of {space}</title>\
         <style>{STYLE}</style></head><body>\n<h1>Comparison of {space} with its upstream</h1>\n"
    );
    page.push_str(if report["clean"] == true {
        "<p class=\"yes\">Clean: nothing is missing here, and nothing differs.</p>\n"
    } else {
        "<p class=\"no\">Not clean: see the findings.</p>\n"
    });
    page.push_str("<table>\n");
    let upstream = &report["upstream"];
    for (name, value) in [
        ("Store", text(&report["store"])),
        ("Upstream", text(&upstream["endpoint"])),
        ("Bucket there", text(&upstream["bucket"])),
        ("Prefix there", key(&upstream["prefix"])),
        ("Mode", text(&report["mode"])),
        ("Begun", text(&report["begun_at"])),
        ("Done", text(&report["finished_at"])),
    ] {
        row(&mut page, name, &value, "");
    }
    page.push_str("</table>\n<h2>Figures</h2>\n<table>\n");
    for (name, says) in COUNTS {
        row(&mut page, says, &text(&report[name]), " class=\"n\"");
    }
    if report["versions"].is_object() {
        page.push_str("</table>\n<h2>Versions</h2>\n<table>\n");
        for (name, says) in VERSIONS {
            row(&mut page, says, &text(&report["versions"][name]), " class=\"n\"");
        }
    }
    page.push_str("</table>\n<h2>What proved the objects that were fetched</h2>\n<table>\n");
    for (name, count) in report["proved"].as_object().into_iter().flatten() {
        row(&mut page, &escaped(proof(name)), &text(count), " class=\"n\"");
    }
    page.push_str("</table>\n");
    keys(&mut page, &report["read_twice"]);
    findings(&mut page, report);
    let list = &report["list"];
    let _ = write!(
        page,
        "<h2>The list</h2>\n<p>SHA-256 of the list of the {} objects that matched: <code>{}</code></p>\n<p>{}.</p>\n",
        text(&list["lines"]),
        text(&list["sha256"]),
        text(&list["form"])
    );
    let _ = write!(
        page,
        "<h2>Signature</h2>\n<p>Of the report in JSON, which says the same: check that one with \
         <code>juststorage upstream report --check FILE</code>.</p>\n<p>{} key <code>{}</code><br>signature <code>{}</code></p>\n\
         </body></html>\n",
        text(&signature["algorithm"]),
        text(&signature["key"]),
        text(&signature["value"])
    );
    page
}

fn row(page: &mut String, name: &str, value: &str, class: &str) {
    let _ = writeln!(page, "<tr><th scope=\"row\">{name}</th><td{class}>{value}</td></tr>");
}

fn keys(page: &mut String, twice: &Value) {
    let named = twice["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if named.is_empty() {
        return;
    }
    let _ = write!(page, "<h2>Read twice</h2>\n<p>{} of {}:</p>\n<ul>\n", named.len(), text(&twice["count"]));
    for one in named {
        let _ = writeln!(page, "<li>{}</li>", key(one));
    }
    page.push_str("</ul>\n");
}

fn findings(page: &mut String, report: &Value) {
    let named = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let _ = write!(page, "<h2>Findings</h2>\n<p>{} of {}.</p>\n", named.len(), text(&report["found"]));
    if named.is_empty() {
        return;
    }
    page.push_str("<table>\n<tr><th>Key</th><th>Verdict</th><th>Reason</th></tr>\n");
    for one in named {
        let (verdict, why) = (text(&one["verdict"]), text(&one["why"]));
        let _ = writeln!(page, "<tr><td>{}</td><td>{verdict}</td><td>{why}</td></tr>", key(&one["key"]));
    }
    page.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// Nothing of a key is markup, and none turns the text around it.
    #[test]
    fn hostile_keys_stay_text() {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}gpj.\u{0}\n\u{1b}[2J";
        let finding = json!({ "key": hostile, "verdict": "differ", "why": hostile });
        let report = json!({
            "namespace": hostile, "findings": [finding], "found": 1, "clean": false,
            "upstream": { "endpoint": hostile, "prefix": hostile },
            "proved": { hostile: 1 }, "read_twice": { "count": 1, "keys": [hostile] },
        });
        let page = render(&json!({ "report": report, "signature": { "key": hostile } }));
        assert_eq!(page.matches("<script").count(), 0);
        assert!(page.contains(
            "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u{202e}gpj.\\u{0}\\u{a}\\u{1b}[2J"
        ));
        assert!(page.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')));
        // As many tags as the same page of a plain key has.
        let plain = render(
            &serde_json::from_str(
                &json!({ "report": report }).to_string().replace("<script>alert(1)</script>", "k"),
            )
            .unwrap(),
        );
        assert_eq!(page.matches('<').count(), plain.matches('<').count());
    }
}
