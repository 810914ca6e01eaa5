//! The room of file systems.

use std::io;
use std::path::{Path, PathBuf};

use crate::application::ports::volume::{DiskRoom, Volume};

/// The file system that a directory lies on.
#[derive(Clone, Debug)]
pub struct DirectoryVolume(pub PathBuf);

impl Volume for DirectoryVolume {
    fn room(&self) -> Option<DiskRoom> {
        room(&self.0).ok()
    }
}

/// The room where `path` lies. None is left either where no file can be made any more.
pub(crate) fn room(path: &Path) -> io::Result<DiskRoom> {
    let found = rustix::fs::statvfs(path)?;
    let total = found.f_blocks.saturating_mul(found.f_frsize);
    // Some file systems count no files.
    let files_left = found.f_files == 0 || found.f_favail > 0;
    let free = if files_left { found.f_bavail.saturating_mul(found.f_frsize) } else { 0 };
    Ok(DiskRoom { free, total })
}
