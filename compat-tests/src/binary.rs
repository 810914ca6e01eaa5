//! Where the binary under test is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The `juststorage` to test: `JUSTSTORAGE_BIN`, or the one that lies beside this test's executable under
/// `target/<profile>`. That one is built first where it is missing or older than its sources, so that a
/// test never passes on yesterday's binary.
pub fn path() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| match std::env::var_os("JUSTSTORAGE_BIN") {
        Some(path) => PathBuf::from(path),
        None => beside_this_executable(),
    })
}

/// The root of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn beside_this_executable() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let mut directory = executable.parent().unwrap();
    if directory.ends_with("deps") {
        directory = directory.parent().unwrap();
    }
    let binary = directory.join("juststorage");
    if !is_current(&binary) {
        build(directory);
    }
    assert!(binary.exists(), "{} was not built", binary.display());
    binary
}

fn is_current(binary: &Path) -> bool {
    let Ok(built) = binary.metadata().and_then(|metadata| metadata.modified()) else { return false };
    ["src", "core/src", "native-api/src", "console", "s3-gateway/src", "migrations", "Cargo.toml"]
        .iter()
        .all(|part| newest(&workspace().join(part)) <= built)
}

fn newest(path: &Path) -> SystemTime {
    let own = path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let Ok(entries) = path.read_dir() else { return own };
    entries.flatten().map(|entry| newest(&entry.path())).fold(own, SystemTime::max)
}

/// Builds with the features of the whole workspace, which `cargo test --workspace` has compiled already.
fn build(profile_directory: &Path) {
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo test` says of this package, ring's build script would take for a change, and all that rests on ring
    // would be compiled anew, here and in the next build.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.to_string_lossy().starts_with(of)) {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args(["build", "--workspace", "--bin", "juststorage", "--ignore-rust-version", "--profile", profile])
        .arg("--target-dir")
        .arg(profile_directory.parent().unwrap())
        .current_dir(workspace())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo build failed: {status}");
}
