//! What the machine itself can do, and what the server's process has used of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::time::Instant;

use juststorage_compat_tests::{Content, Server};

use crate::report::{Report, mib};

/// Copies a file of `size` bytes and syncs the copy.
pub(crate) fn file_copy(report: &mut Report, size: usize) {
    let directory = tempfile::tempdir().unwrap();
    let block = Content::new(1, 1 << 20).bytes();
    let mut source = File::create(directory.path().join("source")).unwrap();
    for _ in 0..size >> 20 {
        source.write_all(&block).unwrap();
    }
    source.sync_all().unwrap();
    let started = Instant::now();
    let mut source = File::open(directory.path().join("source")).unwrap();
    let mut target = File::create(directory.path().join("target")).unwrap();
    // Through a buffer, as any server must; the kernel's own copy might move no byte at all.
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = source.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        target.write_all(&buffer[..length]).unwrap();
    }
    target.sync_all().unwrap();
    report.add(
        "machine: plain file copy with fsync",
        mib(size as u64) / started.elapsed().as_secs_f64(),
        "MiB/s",
    );
}

/// Appends 4 KiB and syncs, 300 times.
pub(crate) fn syncs(report: &mut Report) {
    let mut file = tempfile::tempfile().unwrap();
    let mut taken: Vec<_> = (0..300)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    report.add("machine: append 4 KiB and fdatasync, p50", taken[150], "ms");
}

/// The server's peak of resident memory so far, in bytes.
pub(crate) fn peak_memory(server: &Server) -> u64 {
    field(&format!("/proc/{}/status", server.process_id()), "VmHWM:") << 10
}

/// The bytes that the server's process has caused to be sent to the disk.
pub(crate) fn written(server: &Server) -> u64 {
    field(&format!("/proc/{}/io", server.process_id()), "write_bytes:")
}

fn field(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
