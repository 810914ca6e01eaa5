//! Who asks, and what they may do: one answer for both fronts.

pub mod authenticate;
pub mod authorize;
pub mod constant;
mod given;
mod jwks;
mod jwt;
pub mod keys;
mod maker;
pub mod presign;
mod provider;
mod published;
mod seal;
mod signed;
mod target_secrets;

pub use authenticate::{Access, AuthMode, RootKey, S3Identity};
pub use given::{GivenSecret, check_access_key};
pub use jwks::{JwtKeys, SECRET_BYTES_MIN};
pub use jwt::{ClaimNames, ClaimPath, JwtRules, LEEWAY};
pub use keys::{NewKey, NewKeyRequest};
pub use presign::{PRESIGNED_MAX, PresignRequest, PresignTarget, Presigned, PresignedCall};
pub use published::KeySetPace;
pub use seal::{MasterKey, MasterKeys};
pub(crate) use signed::REPORT;
pub use signed::{DocumentSignature, is_signed};
