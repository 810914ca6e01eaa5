//! Ports for the programs that tests start.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first port that is given. Both ranges, [`SECOND`] above each other, lie below those that Linux gives to outgoing connections
/// (32,768 and more, `ip_local_port_range`): a client of another test would take one of those between the look at it and the start of the
/// program, or while a program that was killed is down.
const FIRST: u16 = 15_000;

/// How many ports there are.
const COUNT: u16 = 7_000;

/// `SeaweedFS` serves gRPC this far above each of its ports.
pub const SECOND: u16 = 10_000;

/// How far apart two processes with neighbouring ids begin. A process that is given fewer ports meets no port of the other.
const APART: u32 = 131;

/// A free port of 127.0.0.1, for a program that cannot be asked which port it took. The port [`SECOND`] above it is free, too. No port
/// is given twice in one process until all were given.
///
/// # Panics
///
/// If no port is free.
pub fn free() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(APART);
    (0..COUNT)
        .map(|_| {
            let place = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % u32::from(COUNT);
            FIRST + u16::try_from(place).expect("it is below their count")
        })
        .find(|port| {
            [*port, port + SECOND].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        })
        .expect("a port is free")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_a_client_may_take() {
        let given: HashSet<u16> = (0..50).map(|_| free()).collect();
        assert_eq!(given.len(), 50);
        assert!(given.iter().all(|port| *port + SECOND < 32_768), "{given:?}");
    }

    #[test]
    fn a_port_that_is_listened_on_is_passed_over() {
        let held: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind(("127.0.0.1", free() + SECOND)).expect("it was free")).collect();
        let held: HashSet<u16> = held.iter().map(|one| one.local_addr().unwrap().port() - SECOND).collect();
        assert!((0..COUNT).all(|_| !held.contains(&free())));
    }
}
