//! The statements that load versions of keys.

use std::collections::HashSet;

use crate::domain::address::Key;
use crate::domain::object::{Object, ObjectId};
use crate::domain::space::SpaceId;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::{Sql, sql};
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::write::batch::Batch;

/// How often a transaction looks for a version that others keep replacing, before it begins again.
const LOOKS_MAX: u32 = 8;

impl Batch<'_> {
    /// The latest version of a key, a delete marker too. It stays so until the end of the transaction.
    pub(crate) async fn latest(&mut self, space: SpaceId, key: &Key) -> Result<Option<Object>, Fault> {
        let mut found = self.latest_of(space, &[key]).await?;
        if found.is_empty() {
            found = self.look_again_for_latest(space, &[key]).await?;
        }
        Ok(found.pop())
    }

    /// The latest versions of keys for which [`Self::latest_of`] found none, if they have any after all.
    ///
    /// On PostgreSQL a statement that had to wait for a row looks again at that row, and not at the one that the
    /// other transaction put in its place: it finds nothing although the key is there all the time. A statement that
    /// waits for none sees one state of the database, so what it does not see is not there.
    pub(crate) async fn look_again_for_latest(
        &mut self,
        space: SpaceId,
        keys: &[&Key],
    ) -> Result<Vec<Object>, Fault> {
        let mut found = Vec::new();
        if self.tx.sees_only_its_own() {
            return Ok(found);
        }
        let mut missing = keys.to_vec();
        for _ in 0..LOOKS_MAX {
            let there = self.keys_with_latest(space, &missing).await?;
            missing.retain(|key| there.contains(key.as_str()));
            let objects = self.latest_of(space, &missing).await?;
            missing.retain(|key| !objects.iter().any(|object| object.key.as_ref() == Some(key)));
            found.extend(objects);
            if missing.is_empty() {
                return Ok(found);
            }
        }
        Err(Fault::Collision(format!("the latest version of {} kept changing", list_of(&missing))))
    }

    async fn keys_with_latest(&mut self, space: SpaceId, keys: &[&Key]) -> Result<HashSet<String>, Fault> {
        let mut found = HashSet::new();
        for portion in self.tx.portions(keys) {
            let statement = self.tx.query_list(
                sql!(
                    "SELECT key FROM objects WHERE space_id = $1 AND key IN (",
                    list,
                    ") AND key <> '' AND is_latest = TRUE"
                ),
                1,
                portion.len(),
            );
            let keys = portion.iter().map(|key| key.as_str().to_owned());
            found.extend(statement.bind(space.0).bind_all(keys).map(Row::first::<String>).await?);
        }
        Ok(found)
    }

    /// The latest versions of those of the keys that have any.
    pub(crate) async fn latest_of(&mut self, space: SpaceId, keys: &[&Key]) -> Result<Vec<Object>, Fault> {
        let latest = sql!(
            object,
            " WHERE o.space_id = $1 AND o.key IN (",
            list,
            ") AND o.key <> '' AND o.is_latest = TRUE ORDER BY o.key",
            for_update_of_object
        );
        self.objects_of(latest, space, keys).await
    }

    /// The objects that `statement` finds in a space, given as $1, under a list of keys.
    async fn objects_of(
        &mut self,
        statement: Sql,
        space: SpaceId,
        keys: &[&Key],
    ) -> Result<Vec<Object>, Fault> {
        let mut found = Vec::new();
        for portion in self.tx.portions(keys) {
            let keys = portion.iter().map(|key| key.as_str().to_owned());
            let query = self.tx.query_list(statement, 1, portion.len()).bind(space.0).bind_all(keys);
            found.extend(query.map(rows::object).await?);
        }
        Ok(found)
    }

    /// The null version of a key. It stays so until the end of the transaction.
    pub(crate) async fn null_version(&mut self, space: SpaceId, key: &Key) -> Result<Option<Object>, Fault> {
        Ok(self.null_versions_of(space, &[key]).await?.pop())
    }

    /// The null versions of those of the keys that have any. As with [`Self::latest`], another transaction may put a new
    /// one in the place of one that is looked at.
    pub(crate) async fn null_versions_of(
        &mut self,
        space: SpaceId,
        keys: &[&Key],
    ) -> Result<Vec<Object>, Fault> {
        let mut found = Vec::new();
        let mut missing = keys.to_vec();
        for _ in 0..LOOKS_MAX {
            let objects = self.look_at_null_versions(space, &missing).await?;
            missing.retain(|key| !objects.iter().any(|object| object.key.as_ref() == Some(key)));
            found.extend(objects);
            if self.tx.sees_only_its_own() {
                return Ok(found);
            }
            let there = self.keys_with_null_version(space, &missing).await?;
            missing.retain(|key| there.contains(key.as_str()));
            if missing.is_empty() {
                return Ok(found);
            }
        }
        Err(Fault::Collision(format!("the null version of {} kept changing", list_of(&missing))))
    }

    async fn keys_with_null_version(
        &mut self,
        space: SpaceId,
        keys: &[&Key],
    ) -> Result<HashSet<String>, Fault> {
        let mut found = HashSet::new();
        for portion in self.tx.portions(keys) {
            let statement = self.tx.query_list(
                sql!(
                    "SELECT key FROM objects WHERE space_id = $1 AND key IN (",
                    list,
                    ") AND is_null_version AND state = ",
                    committed
                ),
                1,
                portion.len(),
            );
            let keys = portion.iter().map(|key| key.as_str().to_owned());
            found.extend(statement.bind(space.0).bind_all(keys).map(Row::first::<String>).await?);
        }
        Ok(found)
    }

    async fn look_at_null_versions(&mut self, space: SpaceId, keys: &[&Key]) -> Result<Vec<Object>, Fault> {
        let null_versions = sql!(
            object,
            " WHERE o.space_id = $1 AND o.key IN (",
            list,
            ") AND o.is_null_version AND o.state = ",
            committed,
            " ORDER BY o.key, o.id DESC",
            for_update_of_object
        );
        self.objects_of(null_versions, space, keys).await
    }

    /// The largest id that a key has: also of rows that wait for GC, which keep theirs.
    pub(crate) async fn newest_of(&mut self, space: SpaceId, key: &Key) -> Result<Option<ObjectId>, Fault> {
        self.tx
            .query(sql!("SELECT id FROM objects WHERE space_id = $1 AND key = $2 ORDER BY id DESC LIMIT 1"))
            .bind(space.0)
            .bind(key.as_str())
            .find(|row| row.first().map(ObjectId))
            .await
    }
}

fn list_of(keys: &[&Key]) -> String {
    keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ")
}
