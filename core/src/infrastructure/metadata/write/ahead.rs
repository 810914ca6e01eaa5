//! What a small batch is going to ask, asked in one trip.
//!
//! On SQLite nobody else changes anything while a transaction lasts, so it does not matter when something is looked at; and
//! what an answer costs is the trip to SQLite's thread. On PostgreSQL statements take locks, in an order, and go one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::batch::Batch;
use super::known::Resident;
use super::residents::residents;
use super::spaces;
use super::versions::Wanted;
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::blob::Hash;
use crate::domain::space::DedupDomain;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::KeptRows;

/// More changes than these are not looked ahead for: they share their trips.
const CHANGES_MAX: usize = 8;

/// What was asked of whom.
enum Asked<'a> {
    Bucket(&'a BucketName),
    Space(&'a SpaceAddress),
    Latest(&'a SpaceAddress),
    Residents(&'a DedupDomain, Vec<&'a Hash>),
}

impl Batch<'_> {
    /// Looks at what a few changes will be decided by, and at the blobs of the content that they bring.
    pub(super) async fn look_ahead<'a>(
        &mut self,
        wanted: &[Wanted<'a>],
        content: impl Iterator<Item = (&'a DedupDomain, &'a Hash)>,
    ) -> Result<(), Fault> {
        if !self.tx.sees_only_its_own() || wanted.len() > CHANGES_MAX {
            return Ok(());
        }
        let mut asked = Vec::new();
        let mut keys: BTreeMap<&'a SpaceAddress, BTreeSet<&'a Key>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for Wanted { space, bucket, key, .. } in wanted {
            if let Some(bucket) = *bucket {
                if !self.knows_bucket(bucket) && seen.insert(bucket) {
                    let kept = spaces::locking_bucket(self.tx, bucket).kept().await?;
                    asked.push((Asked::Bucket(bucket), kept));
                }
            } else if !self.spaces.contains_key(*space) && !keys.contains_key(*space) {
                let kept = spaces::locking_space(self.tx, space).kept().await?;
                asked.push((Asked::Space(space), kept));
            }
            let of_space = keys.entry(*space).or_default();
            of_space.extend(*key);
        }
        for (space, keys) in &keys {
            if !keys.is_empty() {
                asked.push((Asked::Latest(space), self.ask_latest(space, keys).await?));
            }
        }
        let mut hashes: HashMap<&'a DedupDomain, Vec<&'a Hash>> = HashMap::new();
        for (domain, hash) in content {
            let of_domain = hashes.entry(domain).or_default();
            if !of_domain.contains(&hash) {
                of_domain.push(hash);
            }
        }
        for (domain, hashes) in hashes {
            let kept = residents(self.tx, domain.as_str(), &hashes).kept().await?;
            asked.push((Asked::Residents(domain, hashes), kept));
        }
        for (asked, kept) in asked {
            self.learn(asked, kept).await?;
        }
        Ok(())
    }

    /// Asks for the latest versions of keys of a space that need not exist.
    async fn ask_latest(&mut self, space: &SpaceAddress, keys: &BTreeSet<&Key>) -> Result<KeptRows, Fault> {
        let statement = self.tx.query_list(
            sql!(
                object,
                " WHERE o.space_id = (SELECT w.id FROM spaces w WHERE w.namespace = $1 AND w.tenant = $2) \
                 AND o.key IN (",
                list,
                ") AND o.key <> '' AND o.is_latest = TRUE ORDER BY o.key"
            ),
            2,
            keys.len(),
        );
        let statement = statement.bind(space.namespace.as_str()).bind(space.tenant.as_str());
        statement.bind_all(keys.iter().map(|key| key.as_str().to_owned())).kept().await
    }

    /// Remembers an answer.
    async fn learn(&mut self, asked: Asked<'_>, kept: KeptRows) -> Result<(), Fault> {
        let found = self.tx.rows(kept).await?;
        match asked {
            Asked::Bucket(name) => {
                let bucket = found.first().map(rows::bucket).transpose()?;
                self.know_bucket(name, bucket);
            }
            Asked::Space(address) => {
                if let Some(row) = found.first() {
                    self.spaces.insert(address.clone(), rows::space(row)?);
                }
            }
            Asked::Latest(space) => {
                let latest: Result<Vec<_>, _> = found.iter().map(rows::object).collect();
                self.ahead.latest.insert(space.clone(), latest?);
            }
            Asked::Residents(domain, hashes) => {
                let known = self.ahead.residents.get_or_insert_default();
                let mut known_here: HashMap<_, _> =
                    hashes.into_iter().map(|hash| (hash.0.to_vec(), None)).collect();
                for row in &found {
                    let (hash, resident) = Resident::of_row(row)?;
                    known_here.insert(hash, Some(resident));
                }
                known.insert(domain.as_str().to_owned(), known_here);
            }
        }
        Ok(())
    }
}
