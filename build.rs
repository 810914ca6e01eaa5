//! Tells the program which commit it is built from: `juststorage version` says it.
//!
//! A build without a repository (an archive, a container's context) says it by `SOURCE_COMMIT` and, as
//! <https://reproducible-builds.org/specs/source-date-epoch/> defines it, `SOURCE_DATE_EPOCH`. If neither is there,
//! the program knows only its version.

use std::process::Command;

fn main() {
    for name in ["SOURCE_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // The log of HEAD changes with every commit and checkout. Cargo would always rebuild for a file that is not there.
    if let Some(log) =
        git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| std::path::Path::new(log).exists())
    {
        println!("cargo::rerun-if-changed={log}");
    }
    let commit = said("SOURCE_COMMIT").or_else(|| git(&["rev-parse", "HEAD"]));
    let date = said("SOURCE_DATE_EPOCH").or_else(|| git(&["log", "-1", "--format=%ct"]));
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.unwrap_or_default());
    println!("cargo::rustc-env=BUILD_DATE={}", date.unwrap_or_default());
}

fn said(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn git(line: &[&str]) -> Option<String> {
    let output = Command::new("git").args(line).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
