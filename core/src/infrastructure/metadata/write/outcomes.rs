//! Plans of puts and deletes written down, and what each came to.

use super::batch::{Applied, Batch};
use super::delete::Deleted;
use super::versions::{Made, Versions};
use crate::application::ports::metadata::{MutationOutcome, Refusal};
use crate::infrastructure::metadata::session::fault::Fault;

/// What a change was planned to be.
pub(crate) enum Planned {
    Put(Result<usize, Refusal>),
    Delete(Result<Deleted, Refusal>),
}

/// Writes down what the delete of one key was planned to be.
pub(crate) async fn settled(
    batch: &mut Batch<'_>,
    versions: Versions<'_>,
    deleted: Result<Deleted, Refusal>,
) -> Result<Applied, Fault> {
    let outcome = outcomes(batch, versions, vec![Planned::Delete(deleted)]).await?.pop();
    outcome.ok_or_else(|| Fault::failed("a delete came to nothing"))
}

/// Writes the plans down, and says what each came to.
pub(crate) async fn outcomes(
    batch: &mut Batch<'_>,
    versions: Versions<'_>,
    steps: Vec<Planned>,
) -> Result<Vec<Applied>, Fault> {
    let written = versions.write(batch).await?;
    let outcomes = steps.into_iter().map(|step| match step {
        Planned::Put(Err(refusal)) | Planned::Delete(Err(refusal)) => Ok(Err(refusal)),
        Planned::Put(Ok(at)) => written.made(at).map(|Made { object, dropped }| {
            Ok(MutationOutcome::Object { object: Box::new(object.clone()), dropped: *dropped })
        }),
        Planned::Delete(Ok(Deleted::Nothing)) => {
            Ok(Ok(MutationOutcome::Deleted { object: None, marker_made: false }))
        }
        Planned::Delete(Ok(Deleted::Removed(gone))) => {
            let object = Some(Box::new(written.which(gone)?.clone()));
            Ok(Ok(MutationOutcome::Deleted { object, marker_made: false }))
        }
        Planned::Delete(Ok(Deleted::Marked(at))) => {
            let object = Some(Box::new(written.made(at)?.object.clone()));
            Ok(Ok(MutationOutcome::Deleted { object, marker_made: true }))
        }
    });
    outcomes.collect()
}
