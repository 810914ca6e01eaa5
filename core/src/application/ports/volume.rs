//! A file system that something of the store lies on.

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRoom {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes of the whole file system.
    pub total: u64,
}

/// Tells how much room there is. May wait for a disk: call it on a thread that may block.
pub trait Volume: Send + Sync + 'static {
    /// The room now; `None` if it cannot be told.
    fn room(&self) -> Option<DiskRoom>;
}
