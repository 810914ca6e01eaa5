//! Suites in Python, run with the SDK that `python/requirements.txt` pins.

use std::path::Path;
use std::process::Command;

/// Runs a suite of `python/` against `endpoint`, which shows `certificate` where it speaks TLS, and panics with its
/// output unless every case of it passed.
pub fn run(suite: &str, endpoint: &str, certificate: Option<&Path>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut command = Command::new(interpreter());
    if let Some(certificate) = certificate {
        // The first is the SDK's, the other urllib's.
        command.env("AWS_CA_BUNDLE", certificate).env("SSL_CERT_FILE", certificate);
    }
    let output = command
        .arg(directory.join(suite))
        .env("JUSTSTORAGE_S3_URL", endpoint)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // The developer's own configuration and proxies are no part of the test.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("Python starts");
    let report = String::from_utf8_lossy(&output.stderr);
    eprintln!("{report}{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{suite} failed");
    assert!(report.contains("\nRan ") && !report.contains("\nRan 0 tests"), "{suite} ran no case");
}

/// The interpreter that has the SDK; the script makes one where none has.
pub fn interpreter() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/venv.sh");
    let output = Command::new("sh").arg(script).output().expect("sh starts");
    assert!(output.status.success(), "venv.sh: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim().to_owned()
}
