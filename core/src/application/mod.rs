//! The use cases of the store, and the ports they need.
//!
//! [`store::Store`] is what both fronts hold. Each use case is one file: its request, its answer, and the
//! method of `Store` that carries it out.

mod absence;
pub mod access;
pub mod admin;
pub(crate) mod buffers;
pub mod commit;
mod entered;
pub mod error;
mod fairness;
pub mod giving_up;
mod high_water;
pub mod identity;
pub mod ingest;
pub mod limits;
pub mod live;
mod measure;
pub mod metrics;
mod notifications;
mod object_ref;
pub mod objects;
mod policies;
pub mod pools;
pub mod ports;
pub(crate) mod progress;
pub mod rebuild;
mod repeats;
pub mod request;
pub mod reserve;
mod seen;
pub mod settings;
mod settings_cache;
mod sharing;
pub mod spaces;
pub mod store;
pub mod tiers;
mod under_way;
pub mod uploads;
pub mod upstream;
pub mod validate;
mod verify;
pub mod workers;
