//! Connections to one SQLite file, and the transactions on them.
//!
//! A connection runs its statements on a thread of its own, so each answer that is waited for costs two hand-overs between
//! threads, of up to 50 µs each. The pool of sqlx adds three more for a connection that comes back, and four for the
//! beginning and the end of a transaction ([0039](../../../../../docs/decisions/0039-trips-to-sqlite.md)). Here a connection
//! comes back without a question, and a transaction waits for an answer only where it needs one.

mod pool;
mod transaction;

pub(crate) use pool::{Owes, Pool};
pub(crate) use transaction::{Answer, Begin, Kept, Slot, SqliteTransaction, Unexpected, Want};
