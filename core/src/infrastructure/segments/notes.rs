//! Notes of how many commits each writer knows to be durable, and of which of its starts writes here, beside the segments
//! and outside the database. Everything here blocks.
//!
//! Of commits, one small file for each writer, written in place: a note that a crash tore says nothing, which is allowed. Writing it
//! costs no sync, but for the first one, which makes the file.

use std::io::{self, ErrorKind, IoSlice};

use uuid::Uuid;

use super::blocking::write_all_at;
use super::directory::{COMMITS, Directory, SERVERS};
use super::format::crc32c;
use crate::application::ports::segments::SegmentError;
use crate::infrastructure::durable;

pub(super) fn write(directory: &Directory, writer: Uuid, commits: u64) -> Result<(), SegmentError> {
    directory.still_here()?;
    let path = directory.commit_notes().join(writer.to_string());
    let line = encode(commits);
    let write = || match std::fs::File::options().write(true).open(&path) {
        Ok(file) => write_all_at(&file, &mut [IoSlice::new(line.as_bytes())], 0),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            directory.make_below(&[COMMITS])?;
            durable::replace(&path, line.as_bytes(), durable::FILE_MODE)
        }
        Err(error) => Err(error),
    };
    write().map_err(|error: io::Error| directory.error("note how many commits are durable", error))
}

/// A note that cannot be read or is torn counts as none.
pub(super) fn read(directory: &Directory) -> Result<Vec<(Uuid, u64)>, SegmentError> {
    let entries = match std::fs::read_dir(directory.commit_notes()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(directory.error("read how many commits are durable", error)),
    };
    let mut marks = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let writer =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| Uuid::try_parse(name).ok());
        let commits = std::fs::read_to_string(&path).ok().and_then(|line| decode(&line));
        if let (Some(writer), Some(commits)) = (writer, commits) {
            marks.push((writer, commits));
        }
    }
    Ok(marks)
}

pub(super) fn write_server(directory: &Directory, writer: Uuid, token: Uuid) -> Result<(), SegmentError> {
    directory.still_here()?;
    let (notes, line) = (directory.server_notes(), format!("{token}\n"));
    directory
        .make_below(&[SERVERS])
        .and_then(|()| durable::replace(&notes.join(writer.to_string()), line.as_bytes(), durable::FILE_MODE))
        .map_err(|error| directory.error("note which server writes here", error))
}

/// A note that is no start's token is as good as none.
pub(super) fn read_server(directory: &Directory, writer: Uuid) -> Result<Option<Uuid>, SegmentError> {
    match std::fs::read_to_string(directory.server_notes().join(writer.to_string())) {
        Ok(line) => Ok(Uuid::try_parse(line.trim_end()).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(directory.error("read which server writes here", error)),
    }
}

/// Always of one length, so that a note is written over the one before.
pub(super) fn encode(commits: u64) -> String {
    let number = format!("{commits:020}");
    format!("{number} {:08x}\n", crc32c(number.as_bytes()))
}

pub(super) fn decode(line: &str) -> Option<u64> {
    let (number, sum) = line.trim_end().split_once(' ')?;
    let whole = u32::from_str_radix(sum, 16).is_ok_and(|sum| sum == crc32c(number.as_bytes()));
    if whole { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_note_is_none() {
        for commits in [0, 1, 203, u64::MAX] {
            let line = encode(commits);
            assert_eq!((line.len(), decode(&line)), (30, Some(commits)));
            for cut in 0..29 {
                assert_eq!(decode(&line[..cut]), None, "{cut}");
            }
        }
        assert_eq!(decode(&encode(12).replace("12 ", "13 ")), None);
    }
}
