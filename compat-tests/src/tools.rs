//! Other people's tools against a server: the scenarios of `tools/`, each a script that fails on its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::s3::ROOT_KEY;
use crate::server::Server;
use crate::skipped;

/// The exit status of a scenario whose tool is not there.
const NOT_THERE: i32 = 77;

/// The exit status of a scenario that needs what nothing here installs: another language, Terraform.
const NOT_TO_BE_HAD: i32 = 78;

/// Lets tests go on without the tools that a machine has not.
const DO_WITHOUT: &str = "JUSTSTORAGE_TEST_NO_TOOLS";

/// How many commits each deltalake writer makes; the scenario reads it itself.
pub const DELTA_ROUNDS: &str = "JUSTSTORAGE_DELTA_ROUNDS";

/// A `PATH` with what `scripts/prepare tools clients` installs before the machine's own.
pub fn path() -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let installed = ["bin", "debs/usr/bin", "debs/usr/sbin", "clients/bin", "programs/bin"]
        .map(|place| cache().join(place));
    std::env::join_paths(installed.into_iter().chain(std::env::split_paths(&own))).expect("a path")
}

/// Whether each of these programs is on [`path`]. Panics if one is not, unless tests go on without tools.
pub fn are_there(what_for: &str, programs: &[&str]) -> bool {
    let there = |program: &str| std::env::split_paths(&path()).any(|place| place.join(program).exists());
    match programs.iter().find(|program| !there(program)) {
        Some(program) => {
            missing(what_for, &format!("{program} is not there"));
            false
        }
        None => true,
    }
}

/// Where `scripts/prepare clients` puts what it installs.
fn cache() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache/juststorage")
}

/// Runs a scenario of `tools/`, `.sh` or `.py`, and panics with what it printed unless it succeeds. For Python,
/// `environment` is the virtual environment that has the tool.
pub fn run(server: &Server, scenario: &str, environment: &str) {
    run_with(server, scenario, environment, &[]);
}

/// As [`run`], with more variables.
pub fn run_with(server: &Server, scenario: &str, environment: &str, variables: &[(&str, String)]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(scenario);
    let work = tempfile::Builder::new().prefix("juststorage-tool-").tempdir().expect("a directory");
    let python = cache().join(environment).join("bin/python");
    let interpreter = if Path::new(scenario).extension().is_some_and(|kind| kind == "py") {
        python
    } else {
        PathBuf::from("/bin/sh")
    };
    if !interpreter.exists() {
        return missing(scenario, &format!("{} is not there", interpreter.display()));
    }
    let output = Command::new(interpreter)
        .arg(script)
        .current_dir(work.path())
        .env("PATH", path())
        .env("WORK", work.path())
        .env("HOME", work.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CACHE", cache())
        .env("S3_URL", server.s3_url())
        .env("S3_CA", server.certificate().unwrap_or_default())
        .env("AWS_ACCESS_KEY_ID", ROOT_KEY)
        .env("AWS_SECRET_ACCESS_KEY", ROOT_KEY)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // Of the machine's own way to the internet, which is not meant.
        .env_remove("AWS_CA_BUNDLE")
        .env("NO_PROXY", "127.0.0.1")
        .env("LC_ALL", "C.UTF-8")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the scenario starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(NOT_THERE) => return missing(scenario, said.trim()),
        // Where CI runs it is there.
        Some(NOT_TO_BE_HAD) if std::env::var_os("CI").is_none() => {
            return skipped::note(scenario, said.trim());
        }
        _ => {}
    }
    assert!(output.status.success(), "{scenario} ended with {}:\n{said}", output.status);
    server.assert_valid();
}

/// A tool that is not there is a failure: a scenario that did not run proves nothing.
fn missing(scenario: &str, why: &str) {
    assert!(
        std::env::var_os(DO_WITHOUT).is_some(),
        "{scenario} was not run: {why}. `scripts/prepare clients` installs it; {DO_WITHOUT}=1 does without."
    );
    skipped::note(scenario, why);
}
