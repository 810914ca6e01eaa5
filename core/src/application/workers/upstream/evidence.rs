//! What a comparison writes down for its signed report alone: of what upstream, and the SHA-256 of the list of all that matched.

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};

use super::step::NAMED_MAX;
use crate::application::ports::upstream::UpstreamError;
use crate::domain::upstream::Target;
use crate::domain::upstream::compare::Verdict;
use crate::domain::upstream::proof::TWICE;

/// As it is kept with the pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Evidence {
    endpoint: String,
    bucket: String,
    prefix: String,
    region: String,
    /// Objects that are in the list.
    lines: u64,
    /// The state of the list's hash, in hexadecimal, while the comparison is under way.
    state: Option<String>,
    /// The list's SHA-256, once it is done.
    sha256: Option<String>,
    /// Objects whose bytes nothing but two equal readings prove; the first of them by name.
    read_twice: u64,
    read_twice_keys: Vec<String>,
    /// Findings that somebody made who still writes to the upstream.
    changed_there: u64,
}

/// The list of what matched, as it is hashed: `["key",size,"etag"]` and a line feed for each object, in the order of the keys'
/// bytes. Whoever lists one of the stores can make it again.
#[derive(Debug)]
pub(super) struct Compared {
    hash: Sha256,
    lines: u64,
}

impl Compared {
    pub(super) fn add(&mut self, key: &str, size: u64, etag: &str) {
        let line = serde_json::Value::from(vec![
            serde_json::Value::from(key),
            serde_json::Value::from(size),
            serde_json::Value::from(etag),
        ]);
        self.hash.update(line.to_string());
        self.hash.update(b"\n");
        self.lines += 1;
    }
}

impl Evidence {
    /// The list as far as the steps before have come.
    pub(super) fn resume(&mut self, target: &Target) -> Result<Compared, UpstreamError> {
        target.endpoint.clone_into(&mut self.endpoint);
        target.bucket.clone_into(&mut self.bucket);
        target.prefix.clone_into(&mut self.prefix);
        target.region.clone_into(&mut self.region);
        let Some(state) = &self.state else { return Ok(Compared { hash: Sha256::new(), lines: 0 }) };
        let unusable = || UpstreamError::Unusable("the state of the comparison cannot be read".to_owned());
        let mut bytes = SerializedState::<Sha256>::default();
        hex::decode_to_slice(state, &mut bytes).map_err(|_| unusable())?;
        let hash = Sha256::deserialize(&bytes).map_err(|_| unusable())?;
        Ok(Compared { hash, lines: self.lines })
    }

    /// Writes down how far the list has come.
    pub(super) fn pause(&mut self, list: &Compared) {
        self.state = Some(hex::encode(list.hash.serialize()));
        self.lines = list.lines;
    }

    /// The list ends. It is whole if it has all that matched: an older version may have begun the comparison.
    pub(super) fn finish(&mut self, list: Compared, matched: u64) {
        self.state = None;
        self.lines = list.lines;
        self.sha256 = (list.lines == matched).then(|| hex::encode(list.hash.finalize()));
    }

    /// An object that matched had been proved by this when it was fetched.
    pub(super) fn proved(&mut self, key: &str, proof: &str) {
        if proof == TWICE {
            self.read_twice += 1;
            if self.read_twice_keys.len() < NAMED_MAX {
                self.read_twice_keys.push(key.to_owned());
            }
        }
    }

    /// A key came to a finding.
    pub(super) fn found(&mut self, verdict: Verdict) {
        self.changed_there += u64::from(verdict.changed_there());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::upstream::target;

    /// A pass is cut into steps wherever it happens to be; its list is one all the same.
    #[test]
    fn the_list_goes_on_where_it_was() {
        let target = target();
        let mut evidence = Evidence::default();
        let mut expected = String::new();
        for n in 0..100_u64 {
            let key = format!("k\"\n{n:03}");
            let mut list = evidence.resume(&target).unwrap();
            list.add(&key, n, "tag");
            let line = format!("[\"k\\\"\\n{n:03}\",{n},\"tag\"]\n");
            expected.push_str(&line);
            evidence.pause(&list);
            evidence = serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
        }
        let list = evidence.resume(&target).unwrap();
        evidence.finish(list, 100);
        assert_eq!(evidence.sha256, Some(hex::encode(Sha256::digest(expected))));
        assert_eq!((evidence.lines, &evidence.state), (100, &None));
        let part = evidence.resume(&target).unwrap();
        evidence.finish(part, 200);
        assert_eq!(evidence.sha256, None, "not all that matched is in it");
        let mut broken = Evidence { state: Some("00".into()), ..Evidence::default() };
        assert!(broken.resume(&target).is_err());
    }
}
