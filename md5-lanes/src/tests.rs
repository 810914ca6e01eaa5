//! Against the test suite of RFC 1321, and against another implementation.

use ::md5::Digest as _;
use proptest::prelude::*;

use super::*;

fn hex(digest: [u8; 16]) -> String {
    digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn theirs(bytes: &[u8]) -> [u8; 16] {
    ::md5::Md5::digest(bytes).into()
}

/// RFC 1321, A.5.
const SUITE: [(&str, &str); 7] = [
    ("", "d41d8cd98f00b204e9800998ecf8427e"),
    ("a", "0cc175b9c0f1b6a831c399e269772661"),
    ("abc", "900150983cd24fb0d6963f7d28e17f72"),
    ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
    ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
    ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
    (
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
        "57edf4a22be3c955ac49da2e2107b67a",
    ),
];

#[test]
fn the_suite_of_the_rfc_alone_and_together() {
    for (text, digest) in SUITE {
        let mut md5 = Md5::default();
        md5.update(text.as_bytes());
        assert_eq!(hex(md5.finalize()), digest, "{text}");
    }
    let mut bodies = SUITE.map(|_| Md5::new());
    let mut together: Vec<_> = bodies.iter_mut().zip(SUITE.map(|(text, _)| text.as_bytes())).collect();
    update_together(&mut together);
    assert_eq!(bodies.map(|md5| hex(md5.finalize())), SUITE.map(|(_, digest)| digest));
}

#[test]
fn every_length_around_a_block_and_its_padding() {
    let bytes: Vec<u8> = (0..=255).cycle().take(200).collect();
    for length in 0..bytes.len() {
        let mut md5 = Md5::new();
        md5.update(&bytes[..length]);
        assert_eq!(md5.finalize(), theirs(&bytes[..length]), "{length} bytes");
    }
}

proptest! {
    /// Whatever bodies are taken together, in whatever pieces, the digest of each is its own.
    #[test]
    fn together_is_as_alone(
        rounds in prop::collection::vec(prop::collection::vec((0_usize..11, 0_usize..700, any::<u8>()), 0..14), 0..6),
    ) {
        let mut bodies = [const { Md5::new() }; 11];
        let mut whole: [Vec<u8>; 11] = Default::default();
        for round in rounds {
            let mut pieces: [Option<Vec<u8>>; 11] = Default::default();
            for (body, length, first) in round {
                pieces[body] = Some((0..=250_u8).cycle().take(length).map(|byte| first.wrapping_add(byte)).collect());
            }
            let mut together: Vec<_> = bodies
                .iter_mut()
                .zip(&pieces)
                .filter_map(|(md5, piece)| Some((md5, piece.as_deref()?)))
                .collect();
            update_together(&mut together);
            for (whole, piece) in whole.iter_mut().zip(pieces) {
                whole.extend(piece.unwrap_or_default());
            }
        }
        for (md5, whole) in bodies.into_iter().zip(whole) {
            prop_assert_eq!(md5.finalize(), theirs(&whole));
        }
    }
}
