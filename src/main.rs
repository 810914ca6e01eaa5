//! The `juststorage` program: reads the command line and runs the command.

use std::process::ExitCode;

use juststorage::{cli::Cli, commands};

/// Requests allocate many small objects, and chunks of a fixed size. With this allocator a small GET takes about a
/// tenth less CPU time than with glibc's (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that wait for disks: most per core, and least in all. Few keep a disk busy; more only hold memory, since
/// every thread keeps some of its allocations (with tokio's bound of 512, a thousand concurrent transfers took over a
/// gigabyte).
const WAITING_THREADS_PER_CORE: usize = 16;
const WAITING_THREADS_MIN: usize = 32;

fn main() -> ExitCode {
    let cli = Cli::read();
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
