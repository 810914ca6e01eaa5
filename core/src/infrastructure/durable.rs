//! The order in which bytes become durable, written once.
//!
//! A file that has been written is not there yet: a power cut may take its bytes, its name, or the directory
//! that its name is in. So: sync the file, give it its name, sync the directory that holds the name, and do
//! so for every directory that had to be made on the way. After a sync has failed, the kernel may have dropped
//! the pages and a second sync would succeed without having written them ("Can Applications Recover from
//! fsync Failures?", USENIX ATC 2020). Nothing here syncs twice; a caller that gets an error discards the file.
//!
//! Every change of a tier's files goes through here (and through `segments::blocking` for bytes), so that tests
//! can watch it, cut the power before any step, and know what would be left: see [`super::watch`].
//!
//! All functions block: call them on a thread that may.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::watch::{DurableStep, watched};

/// Of files of a store: the owner writes, its group may read (for backups), others see nothing.
pub(crate) const FILE_MODE: u32 = 0o640;

/// Of directories: the owner writes, its group may read, others see nothing.
const DIRECTORY_MODE: u32 = 0o750;

/// Makes the names in `directory` durable: new ones, renamed ones, and that others are gone.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    watched(&DurableStep::SyncDirectory(directory), || File::open(directory)?.sync_all())
}

/// Makes the bytes of `file` durable, and its length.
pub fn sync_file(file: &File) -> io::Result<()> {
    watched(&DurableStep::SyncFile(file), || file.sync_data())
}

/// Cuts `file`, or extends it with zeroes. Not durable until it is synced.
pub fn cut_file(file: &File, length: u64) -> io::Result<()> {
    watched(&DurableStep::Cut(file, length), || file.set_len(length))
}

/// Removes the name `path`. Not durable until its directory is synced.
pub fn remove_file(path: &Path) -> io::Result<()> {
    watched(&DurableStep::Remove(path), || std::fs::remove_file(path))
}

/// Creates `directory` and what is missing above it, each durable in its parent, readable by the owner and
/// its group. If it exists its own name is made durable nevertheless: who created it may have died before.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = directory;
    loop {
        match make_directory(at) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::AlreadyExists && at.is_dir() => break,
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(at),
            Err(error) => return Err(error),
        }
        at = match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => return Err(ErrorKind::NotFound.into()),
        };
    }
    sync_directory(&parent_of(at))?;
    for next in missing.into_iter().rev() {
        match make_directory(next) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => sync_directory(&parent_of(next))?,
        }
    }
    Ok(())
}

/// Creates the directory `name` in the open directory `parent`, which was found at `path`, durable in its parent and
/// readable by the owner and its group, and opens it. If it exists its name is made durable nevertheless.
pub fn create_directory_in(parent: &File, path: &Path, name: &str) -> io::Result<File> {
    let mode = Mode::from_raw_mode(DIRECTORY_MODE);
    match watched(&DurableStep::CreateDirectory(&path.join(name)), || {
        Ok(rustix::fs::mkdirat(parent, name, mode)?)
    }) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => watched(&DurableStep::SyncDirectory(path), || parent.sync_all())?,
    }
    open_directory_in(parent, name)
}

/// Opens the directory `name` in the open directory `parent`.
pub fn open_directory_in(parent: &File, name: &str) -> io::Result<File> {
    let opened = rustix::fs::openat(parent, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(File::from(opened))
}

fn make_directory(path: &Path) -> io::Result<()> {
    watched(&DurableStep::CreateDirectory(path), || DirBuilder::new().mode(DIRECTORY_MODE).create(path))
}

/// Creates `path`, which must not exist, for reading and writing. Its bytes and its name are not durable yet.
pub fn create_file(path: &Path, mode: u32) -> io::Result<File> {
    watched(&DurableStep::CreateFile(path), || {
        OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)
    })
}

/// Makes `file`, which lies at `staged`, durable under the name `target`, whose directory exists. Whatever
/// had that name is replaced, in one step: a crash leaves the one or the other, whole.
pub fn publish(file: &File, staged: &Path, target: &Path) -> io::Result<()> {
    sync_file(file)?;
    watched(&DurableStep::Rename(staged, target), || std::fs::rename(staged, target))?;
    sync_directory(&parent_of(target))
}

/// Writes a small file at `path`, replacing what is there in one step, durably.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let staged = staged_beside(path);
    let mut file = create_file(&staged, mode)?;
    let published = file.write_all(bytes).and_then(|()| publish(&file, &staged, path));
    if published.is_err() {
        // Best effort: the error to tell is the first one.
        let _ = std::fs::remove_file(&staged);
    }
    published
}

/// Writes a small file at `path`, durably, unless there is one, which stays as it is. Never seen half written; of
/// several processes that do so at once, all find the same file afterwards.
pub fn keep(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // The process that put it there may have died before it was durable.
    if path.try_exists()? {
        return sync_directory(&parent_of(path));
    }
    let staged = staged_beside(path);
    let mut file = create_file(&staged, mode)?;
    let kept =
        file.write_all(bytes).and_then(|()| sync_file(&file)).and_then(|()| {
            // A link never replaces what another process was faster to put there. To a watcher it is a renaming.
            match watched(&DurableStep::Rename(&staged, path), || std::fs::hard_link(&staged, path)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                // A file system without links.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) =>
                {
                    if path.try_exists()? { Ok(()) } else { std::fs::rename(&staged, path) }
                }
                linked => linked,
            }
        });
    // Best effort: a leftover is only untidy, and the error to tell is the first one.
    let _ = std::fs::remove_file(&staged);
    kept.and_then(|()| sync_directory(&parent_of(path)))
}

/// Removes what a process that died left of [`replace`] or [`keep`] of the file at `path`.
pub fn remove_drafts(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let (begin, end) = (format!("{name}."), ".new");
    for entry in std::fs::read_dir(parent_of(path))? {
        let entry = entry?;
        let found = entry.file_name();
        let id = found.to_str().and_then(|found| found.strip_prefix(&begin)?.strip_suffix(end));
        if id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok()) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// A name for the draft of the file at `path`.
fn staged_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", uuid::Uuid::new_v4()));
    path.with_file_name(name)
}

/// The directory that holds the name `path`. A bare relative name lies in the working directory.
fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) => PathBuf::from("."),
        None => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn directories_are_made_down_to_the_last_and_may_exist() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        create_directory(&deep).unwrap();
        create_directory(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(root.path().join("file"), b"").unwrap();
        assert!(create_directory(&root.path().join("file")).is_err());
        assert!(create_directory(&root.path().join("file/below")).is_err());
    }

    #[test]
    fn replace_swaps_whole_files_and_leaves_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        replace(&path, b"first", 0o600).unwrap();
        replace(&path, b"second", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        keep(&path, b"third", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second", "what is there stays");
        let draft = staged_beside(&path);
        std::fs::write(&draft, b"").unwrap();
        std::fs::write(root.path().join("key.note.new"), b"").unwrap();
        remove_drafts(&path).unwrap();
        assert!(!draft.exists());
        std::fs::remove_file(root.path().join("key.note.new")).unwrap();
        assert!(replace(root.path(), b"a directory is in the way", 0o600).is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
