//! A certificate for one server.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A self-signed certificate for 127.0.0.1 and `localhost`, and its key. Gone with the value.
pub struct Certificate {
    directory: TempDir,
}

impl Certificate {
    /// Makes one, by the program `openssl`.
    pub fn make() -> Self {
        Self::with(&[])
    }

    /// One that is no authority for others: rustls takes no other for a server's own.
    pub fn of_a_server() -> Self {
        Self::with(&["-addext", "basicConstraints=critical,CA:FALSE"])
    }

    fn with(more: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-tls-").tempdir().unwrap();
        let certificate = Self { directory };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args([
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=IP:127.0.0.1,DNS:localhost",
            ])
            .args(more)
            .arg("-keyout")
            .arg(certificate.key())
            .arg("-out")
            .arg(certificate.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl starts");
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        certificate
    }

    /// The certificate, in PEM. It is its own authority.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    /// The private key, in PEM.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }
}
