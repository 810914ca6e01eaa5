//! File I/O on threads that may block, and the few calls that `std` lacks.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::{JoinError, JoinHandle};

use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;
use crate::infrastructure::watch::{self, DurableStep};
use crate::threads;

/// The most slices that one call takes (`IOV_MAX` on Linux).
pub(super) const SLICES_MAX: usize = 1024;

/// Runs `job` on a thread that may block: on this one, if it may.
pub(super) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, SegmentError> + Send + 'static,
) -> Result<T, SegmentError> {
    if threads::may_block() {
        return job();
    }
    joined(&mut tokio::task::spawn_blocking(job)).await?
}

/// Waits for a job begun earlier. May be cancelled and called again.
pub(super) async fn joined<T>(job: &mut JoinHandle<T>) -> Result<T, SegmentError> {
    job.await.map_err(|error: JoinError| io_error("run a file operation", io::Error::other(error)))
}

/// An I/O error that is neither a full disk nor a missing segment.
pub(super) fn io_error(action: &'static str, error: io::Error) -> SegmentError {
    let advice = advice(&error);
    let source = Arc::new(error);
    match advice {
        Some(advice) => SegmentError::Unavailable { action, source, advice },
        None => SegmentError::Io { action, source },
    }
}

/// An error of reading one segment. What is a state of the machine is told as such; what its file system says of this
/// file is a verdict about this file.
pub(super) fn read_error(segment: SegmentId, action: &'static str, error: io::Error) -> SegmentError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(
            Errno::IO
            | Errno::BADMSG
            | Errno::UCLEAN
            | Errno::REMOTEIO
            | Errno::NODATA
            | Errno::ILSEQ
            | Errno::TIMEDOUT
            | Errno::ACCESS
            | Errno::PERM
            | Errno::ISDIR
            | Errno::LOOP
            | Errno::OVERFLOW,
        ) => SegmentError::Unreadable { segment, action, source: Arc::new(error) },
        _ => io_error(action, error),
    }
}

/// The reaction to an error that is a state of the machine and no fault of the file's; `None` for every other.
fn advice(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_raw_os_error(error.raw_os_error()?) {
        Errno::ROFS => {
            "the tier's file system is read-only: look for its errors in the kernel's log, repair it and mount it \
             writable"
        }
        Errno::NOENT => {
            "a file or directory of the tier is gone under the server: either another server took this one for dead, \
             since it said nothing for 15 seconds, or somebody removed it; the client may try again"
        }
        Errno::MFILE => "the process has no file descriptor left: raise its limit (ulimit -n, LimitNOFILE=)",
        Errno::NFILE => "the machine has no file descriptor left: raise fs.file-max",
        Errno::NOMEM => "the machine has no memory left: give it more, or the process a higher limit",
        Errno::AGAIN => "the machine has no thread left: raise the limit of processes (ulimit -u, TasksMax=)",
        _ => return None,
    })
}

/// Writes all of `slices` at `offset`.
pub(super) fn write_all_at(file: &File, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
    // Told as a whole before its first byte: a power cut may leave any part of it.
    watch::step(&DurableStep::Write(file, offset, slices))?;
    write_slices_at(file, slices, offset)
}

/// Fills `file` with zeroes from `begin` to `end`, a page at a time: what is written by one call the kernel keeps as one piece of
/// its cache, all of which counts as written again whenever a byte of it changes.
pub(super) fn write_zeroes(file: &File, begin: u64, end: u64) -> io::Result<()> {
    let mut pieces = Vec::new();
    let mut at = begin;
    while at < end {
        let next = (at + 1).next_multiple_of(ZEROES.len() as u64).min(end);
        pieces.push(IoSlice::new(&ZEROES[..usize::try_from(next - at).unwrap_or(ZEROES.len())]));
        at = next;
    }
    if !pieces.is_empty() {
        watch::step(&DurableStep::Write(file, begin, &pieces))?;
    }
    let mut at = begin;
    for piece in pieces {
        let length = piece.len() as u64;
        write_slices_at(file, &mut [piece], at)?;
        at += length;
    }
    Ok(())
}

fn write_slices_at(file: &File, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    // Drops empty slices in front, which would make a write of nothing look like a full disk.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = match rustix::io::pwritev(file, &slices[..slices.len().min(SLICES_MAX)], offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// A page of the kernel's cache, on every machine that matters here; on others pieces are only smaller or larger than they need be.
static ZEROES: [u8; 4096] = [0; 4096];

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It may: the caller is on a thread of its own.
    Yes,
    /// It may not: what the page cache lacks is answered with [`ErrorKind::WouldBlock`].
    No,
}

/// The `length` bytes from `offset` on, which the caller knows to be few. [`ErrorKind::UnexpectedEof`] if the file
/// ends before.
pub(super) fn read_at(file: &File, length: usize, offset: u64, wait: Wait) -> io::Result<Vec<u8>> {
    if wait == Wait::No {
        let mut bytes = vec![0; length];
        read_exact_at(file, &mut bytes, offset, wait)?;
        return Ok(bytes);
    }
    read_into(file, Vec::with_capacity(length), length, offset)
}

/// As [`read_at`] for a caller that may wait, into `bytes`, which is empty.
pub(super) fn read_into(file: &File, mut bytes: Vec<u8>, length: usize, offset: u64) -> io::Result<Vec<u8>> {
    // Into memory that was not zeroed before: zeroing costs about as much as copying from the page cache.
    bytes.reserve_exact(length);
    while bytes.len() < length {
        let at = offset + bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may have been more room than was asked for.
    bytes.truncate(length);
    Ok(bytes)
}

/// Fills `buffer` from `offset`. [`ErrorKind::UnexpectedEof`] if the file ends before.
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
    if wait == Wait::Yes || buffer.is_empty() {
        return file.read_exact_at(buffer, offset);
    }
    // Anything but the whole answer (not cached, cached in part, no support by the file system, end of file)
    // is left to the patient call to find out.
    match rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
        Ok(length) if length == buffer.len() => Ok(()),
        _ => Err(ErrorKind::WouldBlock.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_is_broken() {
        let passes = |errno: Errno| matches!(io_error("write", errno.into()), SegmentError::Unavailable { advice, .. } if !advice.is_empty());
        for errno in [Errno::ROFS, Errno::NOENT, Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN] {
            assert!(passes(errno), "{errno}");
        }
        assert!(!passes(Errno::IO));
        assert!(matches!(io_error("write", io::Error::other("x")), SegmentError::Io { .. }));
    }

    /// A bad sector is about the file; a process without descriptors is not.
    #[test]
    fn a_verdict_about_a_file_is_told_from_one_about_the_machine() {
        let id = SegmentId::fresh();
        for errno in [Errno::IO, Errno::UCLEAN, Errno::ACCESS] {
            assert_eq!(read_error(id, "read", errno.into()).segment(), Some(id), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NOMEM, Errno::NOTCONN] {
            assert_eq!(read_error(id, "read", errno.into()).segment(), None, "{errno}");
        }
    }
}
