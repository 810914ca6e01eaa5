//! `juststorage version`.

use serde_json::json;

use super::output::Output;
use crate::exit_error::ExitError;
use crate::version::{VERSION, commit, date};

/// Length of a commit's hash for people, in characters.
const SHORT: usize = 12;

/// Prints the version, and which commit it is if the build knew.
pub(super) fn run(output: Output) -> Result<(), ExitError> {
    output.print(&json!({ "version": VERSION, "commit": commit(), "date": date() }), || {
        let commit = commit().map(|commit| commit.get(..SHORT).unwrap_or(commit));
        let built: Vec<_> = commit.map(str::to_owned).into_iter().chain(date()).collect();
        if built.is_empty() {
            format!("juststorage {VERSION}")
        } else {
            format!("juststorage {VERSION} ({})", built.join(" "))
        }
    })
}
