//! The `juststorage` program: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser as _;
use juststorage::{cli::Cli, commands};

/// Requests allocate and free much that is small, and chunks of a fixed size: measured against glibc's
/// allocator this one takes about a tenth less CPU time for a small GET (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that wait for disks, at most, for each core, and at least. A disk is kept busy by few; more only hold
/// memory, for every thread keeps some of what was allocated on it (tokio's own bound is 512 in all: then a
/// thousand transfers at once took over a gigabyte).
const WAITING_THREADS_PER_CORE: usize = 16;
const WAITING_THREADS_MIN: usize = 32;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let waiting = (juststorage_core::cores() * WAITING_THREADS_PER_CORE).max(WAITING_THREADS_MIN);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(waiting).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::from(3);
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if json {
                eprintln!("{}", serde_json::json!({ "error": failure.to_string() }));
            } else {
                eprintln!("error: {failure}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
