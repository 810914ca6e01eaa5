//! The fault in the body of a request, kept until its answer is written.

use std::sync::{Arc, Mutex, PoisonError};

use juststorage_core::application::error::Error;
use s3s::S3Error;

use crate::errors::translate;

/// The fault in a body, in S3's own terms: the core knows only that its stream failed.
#[derive(Clone, Default)]
pub(crate) struct BodyFault(Arc<Mutex<Option<S3Error>>>);

impl BodyFault {
    /// The first error counts.
    pub(crate) fn set(&self, error: S3Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The fault, if there was one.
    pub(crate) fn take(&self) -> Option<S3Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The answer to a request whose body this was.
    pub(crate) fn explain(&self, error: Error) -> S3Error {
        self.take().unwrap_or_else(|| translate(error))
    }
}
