//! Threads that may block, as those of the runtime's workers may not.

use std::cell::Cell;

thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// From now on what blocks is done on this thread, which runs nothing that others wait for.
pub(crate) fn may_block_here() {
    MAY_BLOCK.set(true);
}

/// Whether what blocks is to be done on this thread.
pub(crate) fn may_block() -> bool {
    MAY_BLOCK.get()
}
