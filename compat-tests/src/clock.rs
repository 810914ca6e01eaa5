//! A wall clock that a test may move, for the real binary.

use std::path::{Path, PathBuf};

/// What a process is told the time is. (libfaketime, preloaded; time-outs go by another clock, which is left alone.)
pub struct FakeClock {
    directory: tempfile::TempDir,
    library: String,
}

impl FakeClock {
    /// A clock that is right so far, for a test of `what`; `None`, and the reason on stderr, where libfaketime is not
    /// installed and the test may be left out.
    pub fn for_test_of(what: &str) -> Option<Self> {
        let beside = |triple: &str| format!("/usr/lib/{triple}/faketime/libfaketimeMT.so.1");
        let known = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(beside);
        let Some(library) = known.into_iter().find(|path| Path::new(path).exists()) else {
            eprintln!("NOT TESTED: {what}, since libfaketime is not installed (apt install faketime)");
            let allowed = std::env::var_os("JUSTSTORAGE_TEST_NO_FAKETIME").is_some();
            assert!(allowed, "install faketime, or set JUSTSTORAGE_TEST_NO_FAKETIME to do without this test");
            return None;
        };
        let clock = Self { directory: tempfile::tempdir().unwrap(), library };
        clock.set("+0");
        Some(clock)
    }

    /// Moves it: `+5m`, `-1h`, from what is right.
    pub fn set(&self, offset: &str) {
        let new = self.path().with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }

    /// The environment of a process that goes by it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("clock")
    }
}
