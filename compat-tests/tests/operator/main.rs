//! What operators do wrong, against the real binary: no slip costs data or service. Each scenario prints its figure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod database_slips;
mod full_disk;
mod identity;
mod master_key;
mod old_metadata;
mod pooler;
mod small_slips;
mod vanished_files;
