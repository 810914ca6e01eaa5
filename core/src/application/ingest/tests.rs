//! What a body may look like, and how it is cut.

use super::*;
use crate::domain::checksum::ChecksumHasher;

fn body(frames: &[&'static [u8]]) -> Body {
    let frames: Vec<_> = frames.iter().map(|frame| Ok(Bytes::from_static(frame))).collect();
    Body::new(futures::stream::iter(frames).boxed())
}

async fn chunks(body: Body, max: usize) -> Result<Vec<Bytes>> {
    let mut source = Source::new(body, 1000);
    let mut chunks = Vec::new();
    loop {
        let chunk = source.next(max).await?;
        if chunk.is_empty() {
            let wanted = digests::Wanted { md5: true, checksum: Some(ChecksumAlgorithm::Crc32) };
            let mut digests = Digests::new(wanted, &Lanes::default());
            for chunk in &chunks {
                digests = digests.update(Bytes::clone(chunk)).await?;
            }
            source.finish(digests).await?;
            return Ok(chunks);
        }
        chunks.push(chunk);
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

/// A client that stops in the middle is told so, and does not hold its memory for ever.
#[tokio::test(start_paused = true)]
async fn a_stalled_body_is_given_up() {
    let stalled = futures::stream::iter([Ok(Bytes::from_static(b"abc"))]).chain(futures::stream::pending());
    assert!(matches!(chunks(Body::new(stalled.boxed()), 10).await, Err(Error::BodyStalled)));
}
