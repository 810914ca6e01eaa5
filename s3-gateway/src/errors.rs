//! Errors as S3 has them: their codes ([`translate`] has those of the core), their bodies and members.

mod body;
mod members;
mod refusal;
mod text;
mod translate;

pub(crate) use self::body::{ErrorContext, bodiless, complete, render};
pub(crate) use self::members::{Repeatable, take as take_members, with_member};
pub(crate) use self::refusal::{
    Refusal, bad_request, fail, internal, invalid_argument, malformed_xml, not_implemented, refusal,
    wrong_argument,
};
pub(crate) use self::text::{escape, unwritable, writable};
pub(crate) use self::translate::translate;
