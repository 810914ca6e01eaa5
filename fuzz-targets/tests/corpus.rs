//! The corpus, and mutations of it, on every target: what fuzzing found once stays found, and a little is found
//! anew in every run of CI.
//!
//! `JUSTSTORAGE_FUZZ_RUNS` (1500) is the number of mutations of each target, `JUSTSTORAGE_FUZZ_SECONDS` (0) how long
//! more of them are made; `JUSTSTORAGE_FUZZ_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use juststorage_core::testing::disk::Dice;
use juststorage_fuzz_targets::{TARGETS, Target, let_in};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Bytes that parsers look for, and numbers at which they turn.
const WORDS: [&[u8]; 31] = [
    b"\0",
    b"\x01",
    b"%01",
    b"&#1;",
    b"\n\n",
    b"\r\n",
    b"%00",
    b"%2e%2e/",
    b"../",
    b"\"",
    b"*",
    b"-1",
    b"0",
    b"18446744073709551615",
    b"9223372036854775808",
    b"&amp;",
    b"<![CDATA[",
    b"<!DOCTYPE x [<!ENTITY e \"e\">]>&e;",
    b"</",
    b"?",
    b"&",
    b"=",
    b"bytes=",
    b"aws-chunked",
    b"\xff\xff\xff\xff",
    b"\xf0\x9f\x92\xa9",
    b"W/\"x\"",
    b"null",
    b"1e400",
    b"\"alg\":\"none\"",
    b"\"tenants\":[]",
];

fn mutate(dice: &mut Dice, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut data = corpus[dice.index(corpus.len())].1.clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.index(data.len() + 1);
        match dice.roll(7) {
            0 if at < data.len() => data[at] ^= 1 << dice.roll(8),
            1 if at < data.len() => data[at] = u8::try_from(dice.roll(256)).unwrap(),
            2 => data.truncate(at),
            3 => {
                let end = (at + dice.index(16)).min(data.len());
                data.drain(at..end);
            }
            4 => {
                let end = (at + dice.index(64)).min(data.len());
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
            5 => {
                let other = &corpus[dice.index(corpus.len())].1;
                let from = dice.index(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            _ => {
                data.splice(at..at, WORDS[dice.index(WORDS.len())].iter().copied());
            }
        }
    }
    data
}

fn run(name: &str, target: Target) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} is empty");
    for (path, data) in &corpus {
        assert!(catch_unwind(|| target(data)).is_ok(), "{} fails", path.display());
    }
    let runs = number("JUSTSTORAGE_FUZZ_RUNS").unwrap_or(1500);
    let seed = number("JUSTSTORAGE_FUZZ_SEED").unwrap_or(u64::from(std::process::id()));
    println!("{name}: {} files, {runs} mutations, JUSTSTORAGE_FUZZ_SEED={seed}", corpus.len());
    let begun = Instant::now();
    let mut dice = Dice::new(seed);
    let least = Duration::from_secs(number("JUSTSTORAGE_FUZZ_SECONDS").unwrap_or(0));
    let mut made = 0;
    while made < runs || begun.elapsed() < least {
        made += 1;
        let data = mutate(&mut dice, &corpus);
        if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
            let path = std::env::temp_dir().join(format!("juststorage-fuzz-{name}-{seed}"));
            std::fs::write(&path, &data).unwrap();
            panic!(
                "{name} fails on {} (a new file of fuzz/corpus/{name}): {:?}",
                path.display(),
                data.escape_ascii().to_string()
            );
        }
    }
    println!("figures: mutations: {name}: {made}, 0 failed; {} s", begun.elapsed().as_secs());
}

macro_rules! targets {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            let (name, target) = TARGETS.into_iter().find(|(name, _)| *name == stringify!($name)).unwrap();
            run(name, target);
        }
    )*};
}

targets!(segment, text, tokens, s3, native);

/// The corpus holds what is let in and what is not, by the names of its files: else it would try the door only.
#[test]
fn tokens_come_in_or_not_as_their_names_say() {
    for (path, data) in corpus("tokens") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(let_in(&data), name.starts_with("good_"), "{name}");
    }
}
