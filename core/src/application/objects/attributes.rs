//! What an object consists of (S3 `GetObjectAttributes`).

use super::ObjectRef;
use crate::application::entered::Located;
use crate::application::error::Result;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::checksum::Checksum;
use crate::domain::object::Object;
use crate::domain::principal::Principal;

/// A part of an object that was uploaded in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPart {
    /// Its number, from 1.
    pub number: u32,
    /// In bytes.
    pub size: u64,
    /// Its checksum, if the upload had one.
    pub checksum: Option<Checksum>,
}

/// A page of an object's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectParts {
    /// How many there are in all.
    pub total: u32,
    /// Those of this page, ascending.
    pub page: Vec<ObjectPart>,
    /// Whether more follow.
    pub more: bool,
}

impl Store {
    /// An object, and the parts it was uploaded in behind number `after`; `None` if it was not.
    pub async fn object_parts(
        &self,
        who: &Principal,
        object: &ObjectRef,
        after: u32,
        limit: u32,
    ) -> Result<(Object, Option<ObjectParts>)> {
        // S3 `GetObjectAttributes` takes the right to read the object as well.
        let Located { found, .. } = self.locate_content(who, Action::GetObjectAttributes, object).await?;
        self.also(who, &[Action::GetObject], object, &found.object).await?;
        let object = found.object;
        let Some(content) = object.content.filter(|content| content.parts.is_multipart()) else {
            return Ok((object, None));
        };
        let mut sizes = self.metadata.part_sizes(content.blob, after, limit.saturating_add(1)).await?;
        let more = sizes.len() > limit as usize;
        sizes.truncate(limit as usize);
        let checksums = self.checksums_of_parts(&object).await?;
        let page = sizes.into_iter().map(|(number, size)| {
            let checksum = checksum_of(&checksums, number);
            ObjectPart { number, size, checksum }
        });
        let page = page.collect();
        Ok((object, Some(ObjectParts { total: content.parts.0, page, more })))
    }

    /// The checksum of one part, in the algorithm of the object's own.
    pub(crate) async fn checksum_of_part(&self, object: &Object, number: u32) -> Result<Option<Checksum>> {
        Ok(checksum_of(&self.checksums_of_parts(object).await?, number))
    }

    async fn checksums_of_parts(&self, object: &Object) -> Result<Vec<Checksum>> {
        match (&object.content, &object.checksum) {
            (Some(content), Some(checksum)) if content.parts.is_multipart() => {
                Ok(self.metadata.part_checksums(content.blob, checksum.algorithm).await?)
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn checksum_of(checksums: &[Checksum], number: u32) -> Option<Checksum> {
    checksums.get((number as usize).checked_sub(1)?).cloned()
}
