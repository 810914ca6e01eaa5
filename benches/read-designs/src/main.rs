//! How checked bytes come from a file to a socket fastest.
//!
//!     cargo run --release --manifest-path benches/read-designs/Cargo.toml -- /a/directory/on/the/disk
//!
//! Serves stretches of files over plain TCP, without HTTP or metadata, by each design in turns, to clients in
//! another process; prints MiB (or requests) a second, and the server's CPU time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod designs;
mod ring;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use designs::{Design, Source};
use rustix::fs::Advice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The store's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a checksum covers.
const BLOCK: usize = 64 * 1024;

const ROUNDS: usize = 3;

/// Files, their length, connections, what a connection reads, whether the page cache has the files.
struct Workload {
    name: &'static str,
    files: u64,
    length: u64,
    connections: usize,
    requests: usize,
    cached: bool,
}

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "4 KiB, 64 connections",
        files: 64,
        length: 4096,
        connections: 64,
        requests: 3_000,
        cached: true,
    },
    Workload {
        name: "1 MiB, 8 connections",
        files: 64,
        length: 1 << 20,
        connections: 8,
        requests: 400,
        cached: true,
    },
    Workload {
        name: "256 MiB, 4 connections",
        files: 4,
        length: 256 << 20,
        connections: 4,
        requests: 2,
        cached: true,
    },
    Workload {
        name: "256 MiB, 4 connections, from the disk",
        files: 4,
        length: 256 << 20,
        connections: 4,
        requests: 1,
        cached: false,
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [word, rest @ ..] if word == "client" => client::run(rest),
        [directory] => measure(Path::new(directory)),
        _ => eprintln!("usage: read-designs DIRECTORY"),
    }
}

/// Writes the file of a workload, unless it is there, and its checksums.
fn source(directory: &Path, length: u64, number: u64) -> Source {
    let path = directory.join(format!("{length}-{number}"));
    if std::fs::metadata(&path).map_or(0, |found| found.len()) != length {
        let mut state = length ^ number ^ 0x9e37_79b9_7f4a_7c15;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(usize::try_from(length / 8).unwrap())
        .flatten()
        .collect();
        let mut file = File::create(&path).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_all().unwrap();
    }
    let checksums = std::fs::read(&path).unwrap().chunks(BLOCK).map(designs::checksum).collect();
    Source::new(File::open(path).unwrap(), length, checksums)
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

fn measure(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    // As many threads that wait for disks as the store has.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(32).build().unwrap();
    println!(
        "{:<40} {:<12} {:>10} {:>12} {:>10}",
        "workload", "design", "per second", "CPU us/MiB", "CPU us/op"
    );
    for workload in WORKLOADS {
        let sources: Vec<Arc<Source>> =
            (0..workload.files).map(|number| Arc::new(source(directory, workload.length, number))).collect();
        let mut rates = vec![Vec::new(); Design::ALL.len()];
        let mut costs = vec![Vec::new(); Design::ALL.len()];
        for _ in 0..ROUNDS {
            for (index, design) in Design::ALL.into_iter().enumerate() {
                for source in sources.iter().filter(|_| !workload.cached) {
                    source.forget_mapping();
                    rustix::fs::fadvise(source.file.as_fd(), 0, None, Advice::DontNeed).unwrap();
                }
                let (rate, cost) = runtime.block_on(round(design, &workload, &sources));
                rates[index].push(rate);
                costs[index].push(cost);
            }
        }
        for (index, design) in Design::ALL.into_iter().enumerate() {
            let (rate, cost) = (median(&mut rates[index]), median(&mut costs[index]));
            let mebibytes = workload.length as f64 / f64::from(1 << 20);
            let shown = if workload.length < 1 << 20 { rate } else { rate * mebibytes };
            println!(
                "{:<40} {:<12} {shown:>10.0} {:>12.0} {:>10.0}",
                workload.name,
                design.name(),
                cost / mebibytes,
                cost
            );
        }
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Requests a second, and the server's CPU time for each in microseconds.
async fn round(design: Design, workload: &Workload, sources: &[Arc<Source>]) -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ring = ring::Ring::new();
    let server = {
        let (sources, ring) = (sources.to_vec(), Arc::clone(&ring));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                tokio::spawn(serve(socket, design, sources.clone(), Arc::clone(&ring)));
            }
        })
    };
    let arguments = [
        "client".to_owned(),
        address,
        workload.connections.to_string(),
        workload.requests.to_string(),
        workload.files.to_string(),
        workload.length.to_string(),
    ];
    let before = cpu();
    let program: PathBuf = std::env::current_exe().unwrap();
    let output = tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output().unwrap())
        .await
        .unwrap();
    let spent = cpu() - before;
    server.abort();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seconds: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let requests = (workload.connections * workload.requests) as f64;
    (requests / seconds, spent.as_micros() as f64 / requests)
}

/// Answers each request (the number of a file, one byte) with the whole of it.
async fn serve(mut socket: TcpStream, design: Design, sources: Vec<Arc<Source>>, ring: Arc<ring::Ring>) {
    let mut request = [0];
    while socket.read_exact(&mut request).await.is_ok() {
        let source = &sources[usize::from(request[0])];
        let mut reader = design.reader(source, &ring);
        while let Some(chunk) = reader.next().await {
            if socket.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
}
