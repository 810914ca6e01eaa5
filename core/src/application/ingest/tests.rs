//! What a body may look like, and how it is cut.

use futures::stream::StreamExt as _;

use super::*;
use crate::application::fairness::{Pool, Shares};
use crate::domain::address::Tenant;
use crate::domain::checksum::ChecksumHasher;

fn body(frames: &[&'static [u8]]) -> Body {
    let frames: Vec<_> = frames.iter().map(|frame| Ok(Bytes::from_static(frame))).collect();
    Body::new(futures::stream::iter(frames).boxed())
}

async fn chunks(body: Body, max: usize) -> Result<Vec<Bytes>> {
    let mut source = BodyReader::new(body, 1000);
    let mut chunks = Vec::new();
    loop {
        let chunk = source.next(max).await?;
        if chunk.bytes.is_empty() {
            let wanted = digests::Wanted { md5: true, checksum: Some(ChecksumAlgorithm::Crc32) };
            let mut digests = Digests::new(wanted, &Lanes::default());
            for chunk in &chunks {
                digests = digests.update(Bytes::clone(chunk)).await?;
            }
            source.finish(digests).await?;
            return Ok(chunks);
        }
        chunks.push(chunk.bytes);
    }
}

#[tokio::test]
async fn chunks_are_full_whatever_the_frames() {
    let frames: [&[&'static [u8]]; 5] = [
        &[b"abcdefghij"],
        &[b"a", b"bcde", b"fghij"],
        &[b"abcdefg", b"", b"hij"],
        &[b"abc", b"defghij"],
        &[],
    ];
    for frames in frames {
        let whole: Vec<u8> = frames.concat();
        for max in [1, 3, 4, 10, 20] {
            for length in [None, Some(whole.len() as u64)] {
                let cut = chunks(Body { length, ..body(frames) }, max).await.unwrap();
                assert_eq!(cut.concat(), whole);
                assert!(cut.iter().rev().skip(1).all(|chunk| chunk.len() == max), "{frames:?} by {max}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_of_another_length_is_refused() {
    let short = chunks(Body { length: Some(4), ..body(&[b"abc"]) }, 10).await;
    assert!(matches!(short, Err(Error::BodyTooShort { expected: 4, received: 3 })));
    let long = chunks(Body { length: Some(2), ..body(&[b"abc"]) }, 10).await;
    assert!(matches!(long, Err(Error::DigestMismatch("Content-Length"))));
    let huge: Vec<&'static [u8]> = vec![&[0; 501]; 2];
    assert!(matches!(chunks(body(&huge), 100).await, Err(Error::BodyTooLarge { max: 1000 })));
}

#[tokio::test]
async fn a_body_of_other_bytes_is_refused() {
    let of = |bytes: &[u8]| {
        let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32);
        hasher.update(bytes);
        hasher.finish()
    };
    let with = |expected| chunks(Body { expected, ..body(&[b"abc"]) }, 10);
    assert!(with(Expected { sha256: Some(Hash::of(b"abc")), ..Expected::default() }).await.is_ok());
    assert!(with(Expected { checksum: Some(of(b"abc")), ..Expected::default() }).await.is_ok());
    let wrong = [
        Expected { sha256: Some(Hash::of(b"abd")), ..Expected::default() },
        Expected { md5: Some([0; 16]), ..Expected::default() },
        Expected { checksum: Some(of(b"abd")), ..Expected::default() },
    ];
    for expected in wrong {
        assert!(matches!(with(expected).await, Err(Error::DigestMismatch(_))));
    }
    let trailing = |checksum| {
        let trailer: Trailer = Box::new(move || Ok(Some(checksum)));
        chunks(Body { trailer: Some(trailer), ..body(&[b"abc"]) }, 10)
    };
    assert!(trailing(of(b"abc")).await.is_ok());
    assert!(matches!(trailing(of(b"")).await, Err(Error::DigestMismatch("checksum"))));
}

/// What proves a body comes behind its last byte: it is waited for, although the length is reached.
#[tokio::test]
async fn a_body_that_fails_behind_its_last_byte_is_refused() {
    for (length, max) in [(Some(3), 10), (Some(3), 3), (Some(3), 1), (None, 10), (None, 3)] {
        let frames = [Ok(Bytes::from_static(b"abc")), Err(Error::Body("bad signature".into()))];
        let body = Body { length, ..Body::new(futures::stream::iter(frames).boxed()) };
        assert!(matches!(chunks(body, max).await, Err(Error::Body(_))), "{length:?} by {max}");
    }
}

fn pool(total: usize) -> Pool {
    let patience = Some(std::time::Duration::from_secs(5));
    Pool::new(Shares { total, alone: total - total / 8, crowded: total / 4, patience, name: "memory" })
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

/// A byte of a body that announces a megabyte takes what a byte takes.
#[tokio::test]
async fn memory_is_taken_as_bytes_arrive() {
    let pool = pool(32 << 20);
    let first = futures::stream::iter([Ok(Bytes::from_static(b"a"))]).chain(futures::stream::pending());
    let body = Body { length: Some(1 << 20), ..Body::new(first.boxed()) };
    let mut source = BodyReader::new(body, 1 << 30).within(pool.clone(), tenant("slow"));
    let mut next = Box::pin(source.next(1 << 20));
    assert!(futures::poll!(&mut next).is_pending());
    // While it is waited for: what it takes is given back with it.
    assert!(pool.taken() <= 16 << 10, "{} bytes for one", pool.taken());
    drop(next);
    drop(source);
    assert_eq!(pool.taken(), 0);
}

/// Also in buffers that are lent: what was announced and has not come takes no more than a few times what has.
#[tokio::test]
async fn memory_of_what_has_not_come_is_bounded_by_what_has() {
    let buffers = [CHUNK_BYTES, PACKED_BYTES_MAX].map(Buffers::new);
    for come in [1_usize, 10_000, 60_000, 100_000, 200_000, 300_000] {
        // Also where the buffer that is lent is larger than the body.
        let bodies =
            [(PACKED_BYTES_MAX, PACKED_BYTES_MAX + 1), (1 << 30, CHUNK_BYTES), (300 << 10, CHUNK_BYTES)];
        for (length, max) in bodies {
            let pool = pool(32 << 20);
            let frames: Vec<_> = vec![0; come].chunks(4096).map(Bytes::copy_from_slice).map(Ok).collect();
            let frames = futures::stream::iter(frames).chain(futures::stream::pending());
            let body = Body { length: Some(length as u64), ..Body::new(frames.boxed()) };
            let reader = BodyReader::new(body, 1 << 30).gathering_in(&buffers);
            let mut source = reader.within(pool.clone(), tenant("slow"));
            let mut next = Box::pin(source.next(max));
            assert!(futures::poll!(&mut next).is_pending());
            let most = (16 << 10) + 4 * (come + 4096);
            assert!(pool.taken() <= most, "{} bytes for {come} of {length}", pool.taken());
        }
    }
}

/// Where memory is short a body goes on in smaller chunks, and nothing of it is lost.
#[tokio::test]
async fn chunks_are_smaller_where_memory_is_short() {
    let whole: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    for frame in [100, 5_000, 20_000, 300_000] {
        for length in [None, Some(whole.len() as u64)] {
            let pool = pool(64 << 10);
            let others = pool.try_take(&Some(tenant("other")), 32 << 10);
            assert!(others.is_some());
            let frames: Vec<_> = whole.chunks(frame).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
            let body = Body { length, ..Body::new(futures::stream::iter(frames).boxed()) };
            let mut source = BodyReader::new(body, 1 << 30).within(pool.clone(), tenant("short"));
            let mut got = Vec::new();
            loop {
                let chunk = source.next(512 << 10).await.unwrap();
                if chunk.bytes.is_empty() {
                    break;
                }
                assert!(
                    chunk.bytes.len() <= frame.max(8 << 10),
                    "{} in frames of {frame}",
                    chunk.bytes.len()
                );
                got.extend_from_slice(&chunk.bytes);
            }
            assert!(got == whole, "in frames of {frame}");
            assert!(source.is_at_its_end());
        }
    }
}

/// A body for which there is no memory at all is refused after some seconds, and not held for ever.
#[tokio::test(start_paused = true)]
async fn a_wait_for_memory_ends() {
    let pool = pool(64 << 10);
    let all: Vec<_> = ["a", "b", "c", "d"].map(|name| Some(tenant(name))).into_iter().collect();
    let mut held = Vec::new();
    for tenant in &all {
        held.push(pool.take(tenant, 16 << 10).await.unwrap());
    }
    let mut source = BodyReader::new(body(&[b"abc"]), 1000).within(pool, tenant("late"));
    assert!(matches!(source.next(10).await, Err(Error::Busy)));
}
