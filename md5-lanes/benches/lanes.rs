//! How many bytes a core digests in a second of its time, by how many bodies it has at once. Prints; asserts nothing.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::expect_used)]

use std::hint::black_box;
use std::{array, fs};

use juststorage_md5_lanes::{Md5, update_together};
use md5::Digest as _;

/// Of each body, in bytes: as much as an upload hands in at once.
const BODY_BYTES: usize = 512 << 10;

/// What a worker digests of each body between two looks at who else waits, in bytes.
const SLICE_BYTES: usize = 32 << 10;

/// Of which the best counts: other programs share the machine.
const ROUNDS: usize = 9;

fn main() {
    let bodies: [Vec<u8>; 8] =
        array::from_fn(|first| (0..BODY_BYTES).map(|at| (at * 31 + first) as u8).collect());
    println!("bodies   md-5, one after the other   md5-lanes   (MB/s)");
    for count in 1..=bodies.len() {
        let bodies = &bodies[..count];
        let alone = rate(count, || {
            for body in bodies {
                black_box(md5::Md5::digest(body));
            }
        });
        let together = rate(count, || {
            let mut digests = vec![Md5::new(); count];
            for at in (0..BODY_BYTES).step_by(SLICE_BYTES) {
                let slices = bodies.iter().map(|body| &body[at..at + SLICE_BYTES]);
                update_together(&mut digests.iter_mut().zip(slices).collect::<Vec<_>>());
            }
            for md5 in digests {
                black_box(md5.finalize());
            }
        });
        println!("{count:6}   {alone:25.0}   {together:9.0}");
    }
}

/// MB per second of this thread's processor time.
fn rate(count: usize, digest: impl Fn()) -> f64 {
    let bytes = (count * BODY_BYTES * 8) as f64;
    let seconds = (0..ROUNDS).map(|_| {
        let began = processor_seconds();
        (0..8).for_each(|_| digest());
        processor_seconds() - began
    });
    bytes / seconds.fold(f64::MAX, f64::min) / 1e6
}

/// Of this thread, so far (Linux: the first field of schedstat, in nanoseconds).
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|field| field.parse::<f64>().ok()).expect("a number") / 1e9
}
