//! What stands behind the ports: databases, files, clocks. Only the composition root and tests name it.

pub mod durable;
pub mod segments;
