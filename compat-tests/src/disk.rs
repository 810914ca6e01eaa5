//! What lies on disk, and disks that are too small.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skipped;

/// The file by which a tier's root says whose it is: it stays when all else is gone.
const MARK: &str = "juststorage-tier.json";

/// The regular files under `directory`, with their sizes in bytes; but for a tier's mark.
pub fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let Ok(entries) = directory.read_dir() else { return found };
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(files(&entry.path())),
            Ok(_) if entry.file_name() == MARK => {}
            Ok(metadata) => found.push((entry.path(), metadata.len())),
            // It went while we looked.
            Err(_) => {}
        }
    }
    found
}

/// The files of a tier's data, staged and sealed, without the notes beside them.
pub fn segments(tier: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = files(&tier.join("segments"));
    found.extend(files(&tier.join("staging")));
    found
}

/// A file system in memory of a fixed size. Dropping it unmounts it.
pub struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// A file system of `size` bytes for a test of `what`; `None`, and a note, where none can be mounted and
    /// the test may be left out.
    pub fn mount_for(what: &str, size: u64) -> Option<Self> {
        let error = match Self::mount(size) {
            Ok(disk) => return Some(disk),
            Err(error) => error,
        };
        let allowed = std::env::var_os("JUSTSTORAGE_TEST_NO_MOUNT").is_some();
        assert!(allowed, "{error}: run as root, or set JUSTSTORAGE_TEST_NO_MOUNT to do without this test");
        skipped::note(what, &format!("no small file system could be mounted: {error}"));
        None
    }

    fn mount(size: u64) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("juststorage-disk-").tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(Self { directory })
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may hold a file open for a moment still.
        let _ = Command::new("umount").arg("-l").arg(self.directory.path()).status();
    }
}
