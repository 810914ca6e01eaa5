//! Pure values and decisions: no async, no I/O, no clock, no SQL.
//!
//! Everything here can be tested with values alone. A value that exists has been validated.

pub mod acl;
pub mod action;
pub mod address;
pub mod blob;
pub mod bounds;
pub mod checksum;
pub mod completion;
pub mod context;
pub mod cors;
pub mod etag;
pub mod event;
pub mod idempotency;
pub mod identity;
pub mod incarnation;
pub mod invalid;
pub mod lifecycle;
pub mod limits;
pub mod merging;
pub mod mirror;
pub mod multipart;
pub mod naming;
pub mod network;
pub mod object;
pub mod object_lock;
pub mod pace;
pub mod patch;
pub mod placement;
pub mod policy;
pub mod precondition;
pub mod principal;
pub mod range;
pub mod reach;
pub mod retention;
pub mod rfc2047;
pub mod settings;
pub mod space;
pub mod state;
pub mod storage_class;
pub mod timestamp;
pub mod upstream;
pub mod versioning;
