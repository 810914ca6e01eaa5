//! The signed report of a comparison: what somebody else may be shown, and can check.

use serde_json::{Value, json};

use super::super::{Admin, allow_operator};
use crate::application::access::{DocumentSignature, MasterKeys, REPORT, is_signed};
use crate::application::error::Result;
use crate::application::ports::metadata::PassKind;
use crate::domain::address::SpaceAddress;
use crate::domain::invalid::Invalid;
use crate::domain::principal::Principal;

/// The algorithm of signatures, as documents name it.
const ALGORITHM: &str = "Ed25519";

/// Figures of a comparison, as the report has them.
const COUNTS: [&str; 8] =
    ["matched", "differ", "only_upstream", "only_here", "replaced_here", "removed_here", "bytes", "found"];

/// How the list is made whose SHA-256 stands in a report.
const LIST_FORM: &str = "one line [\"key\",size,\"etag\"] for each object that matched, in the order of the keys' bytes, as JSON without \
     white space, ending in a line feed";

impl Admin {
    /// The report of the last comparison of a space with its upstream that is done, with its signature.
    pub async fn comparison(&self, who: &Principal, address: &SpaceAddress) -> Result<Value> {
        allow_operator(who)?;
        let (space, _) = self.bound(address).await?;
        let passes = self.store.metadata.passes(space.id).await?;
        let done = passes.into_iter().find(|pass| pass.kind == PassKind::Verify);
        let done = done.and_then(|pass| Some((pass.begun_at, pass.finished_at?, pass.report)));
        let compared = done.and_then(|(begun, finished, report)| {
            let found: Value = serde_json::from_str(&report).ok()?;
            // An older version wrote down less than a report needs.
            found["evidence"]["endpoint"].as_str().is_some_and(|text| !text.is_empty()).then_some(())?;
            Some((begun, finished, found))
        });
        let Some((begun, finished, found)) = compared else {
            return Err(Invalid::new("verify", "no comparison is done: run verify first").into());
        };
        let evidence = &found["evidence"];
        let mut report = json!({
            "version": 1,
            "store": self.store.links.own()?.to_string(),
            "namespace": address.namespace.as_str(),
            "tenant": address.tenant.as_str(),
            "upstream": {
                "endpoint": evidence["endpoint"],
                "bucket": evidence["bucket"],
                "prefix": evidence["prefix"],
                "region": evidence["region"],
            },
            "mode": found["mode"],
            "begun_at": begun.rfc3339(),
            "finished_at": finished.rfc3339(),
            "clean": found["clean"] == true,
            "changed_there": evidence["changed_there"],
            "proved": found["proved"],
            "versions": found["versions"],
            "read_twice": { "count": evidence["read_twice"], "keys": evidence["read_twice_keys"] },
            "findings": found["findings"],
            "list": { "lines": evidence["lines"], "sha256": evidence["sha256"], "form": LIST_FORM },
        });
        for name in COUNTS {
            report[name] = found[name].clone();
        }
        let DocumentSignature { key, value } = self.access.sign(REPORT, &report)?;
        Ok(json!({ "report": report, "signature": { "algorithm": ALGORITHM, "key": key, "value": value } }))
    }

    /// The public keys of reports, in hexadecimal: the one that signs, and the one before it while the previous master key is
    /// known.
    pub fn report_keys(&self, who: &Principal) -> Result<Vec<String>> {
        allow_operator(who)?;
        self.access.public_keys(REPORT)
    }
}

/// The public keys of reports that a server with these master keys signs, as [`Admin::report_keys`] tells them.
pub fn report_keys(keys: &MasterKeys) -> Result<Vec<String>> {
    keys.public_keys(REPORT)
}

/// Checks a report: which of `keys` signed it. An error says what is wrong with it.
pub fn check_report<'k>(document: &Value, keys: &'k [String]) -> Result<&'k str, Invalid> {
    let refused = |reason: &'static str| Err(Invalid::new("report", reason));
    let (report, signature) = (&document["report"], &document["signature"]);
    let text = |name: &str| signature[name].as_str().unwrap_or_default().to_owned();
    if !report.is_object() || text("algorithm") != ALGORITHM {
        return refused("is no report of a comparison that this version can check");
    }
    let signature = DocumentSignature { key: text("key"), value: text("value") };
    let Some(key) = keys.iter().find(|key| key.eq_ignore_ascii_case(&signature.key)) else {
        return refused("is signed with another key");
    };
    if is_signed(report, &signature) { Ok(key) } else { refused("was changed after it was signed") }
}
