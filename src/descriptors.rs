//! File descriptors: as many as the system allows, and their shares.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Stands for no limit.
const UNLIMITED: u64 = 1 << 20;

/// Most connections, whatever the limit: each takes some memory too.
const CONNECTIONS_MAX: u64 = 8192;

/// Most segment files that requests hold open, whatever the limit.
const TRANSFERS_MAX: u64 = 3072;

/// The process's limit of file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors(u64);

impl Descriptors {
    /// Raises the process's own (soft) limit to the most that the system allows it (the hard one), and logs it. The
    /// soft one is 1,024 on most systems, for the sake of programs that use `select`.
    pub fn raise() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let mut limit = current;
        if current != maximum {
            match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
                Ok(()) => limit = maximum,
                Err(error) => tracing::warn!(%error, "the limit of file descriptors could not be raised"),
            }
        }
        let descriptors = Self(limit.unwrap_or(UNLIMITED));
        tracing::info!(
            limit = descriptors.0,
            before = current.unwrap_or(UNLIMITED),
            connections = descriptors.connections(),
            transfers = descriptors.transfers(),
            "file descriptors"
        );
        descriptors
    }

    /// Most connections of both fronts together. The rest is for files, the database and probes.
    pub fn connections(self) -> usize {
        share(self.0 / 4, CONNECTIONS_MAX)
    }

    /// Most segment files that requests hold open.
    pub fn transfers(self) -> usize {
        share(self.0 / 8, TRANSFERS_MAX)
    }
}

fn share(amount: u64, max: u64) -> usize {
    usize::try_from(amount.clamp(8, max)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_for_everything_else() {
        for limit in [256, 1024, 4096, 65_536, UNLIMITED] {
            let descriptors = Descriptors(limit);
            let taken = descriptors.connections() + descriptors.transfers();
            assert!(taken as u64 <= limit * 3 / 8, "{limit}");
        }
        assert_eq!(Descriptors(1024).connections(), 256);
        assert_eq!(Descriptors(UNLIMITED).connections(), 8192);
    }
}
