//! Since when a segment waits for its removal.

use super::timestamp::Timestamp;

/// Of a segment that no backup of the database can name: its file may go at once.
pub const NEVER_NAMED: Timestamp = Timestamp(0);

/// Since when a segment waits that is condemned at `now`. One of size 0 never had a blob committed into it, so no backup
/// of the database can name it.
pub fn condemned_since(size: u64, now: Timestamp) -> Timestamp {
    if size == 0 { NEVER_NAMED } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_named_does_not_wait() {
        let now = Timestamp(7);
        assert_eq!(condemned_since(0, now), NEVER_NAMED);
        assert_eq!(condemned_since(1, now), now);
        assert!(NEVER_NAMED < Timestamp(1));
    }
}
