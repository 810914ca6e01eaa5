//! What the use cases need of the world. Implementations live in `infrastructure`; each port has a contract
//! suite in `testing` that all of them pass.

pub mod clock;
pub mod key_set;
pub mod metadata;
pub mod segments;
pub mod sink;
pub mod upstream;
pub mod volume;
