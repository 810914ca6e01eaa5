//! What was not tested on this machine, and why: a test that says so on its own stderr is not heard, since the output of tests
//! that pass is not shown.

use std::io::Write as _;

/// The file to which `make test` has a line written for each test that was skipped; it prints them as one.
const LIST: &str = "JUSTSTORAGE_TEST_SKIPPED";

/// Says that `what` was skipped.
pub fn note(what: &str, why: &str) {
    eprintln!("SKIPPED: {what}: {why}");
    let Some(list) = std::env::var_os(LIST) else { return };
    let words = why.split_whitespace().collect::<Vec<_>>().join(" ");
    // One write, so that tests that run side by side do not mix their lines.
    let line = format!("{what} ({words})\n");
    let mut list =
        std::fs::File::options().append(true).create(true).open(list).expect("the list of skipped tests");
    list.write_all(line.as_bytes()).expect("the list of skipped tests");
}
