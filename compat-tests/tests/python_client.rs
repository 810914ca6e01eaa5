//! The Python client of `clients/python`. Its tests start the binary themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};

use juststorage_compat_tests::binary;

#[test]
fn the_suite_passes() {
    let root = binary::workspace();
    let prepared = Command::new(root.join("scripts/prepare"))
        .arg("python-client")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let python = std::path::PathBuf::from(std::env::var("HOME").unwrap())
        .join(".cache/juststorage/python-client/bin/python");
    let run = Command::new(python)
        .args(["-m", "pytest"])
        .current_dir(root.join("clients/python"))
        .env("JUSTSTORAGE_BIN", binary::path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{printed}\n{errors}");
    // With `--quiet` the last line is `N passed in T`.
    let passed = printed.lines().last().and_then(|line| line.split_once(" passed")).map(|(count, _)| count);
    assert!(
        passed.and_then(|count| count.parse::<usize>().ok()).is_some_and(|count| count > 40),
        "{printed}"
    );
}
