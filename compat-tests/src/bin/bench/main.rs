//! Measures what issue 2 asks of speed and memory, and prints a table and a JSON file.
//!
//! `cargo run --release -p juststorage-compat-tests --bin bench [-- FILE.json]`. Every figure stands beside one of
//! the machine's own, measured in the same run: figures of different runs do not compare. `JUSTSTORAGE_BENCH_MIB`
//! (1024) is the size of the large object, `JUSTSTORAGE_BENCH_PUTS` (1000) the number of small ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken measurement stops")]

mod large;
mod machine;
mod report;
mod small;

use juststorage_compat_tests::Database;
use report::Report;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

#[tokio::main]
async fn main() {
    let file = std::env::args().nth(1).unwrap_or_else(|| "target/bench.json".to_owned());
    let size = setting("JUSTSTORAGE_BENCH_MIB", 1024) << 20;
    let puts = setting("JUSTSTORAGE_BENCH_PUTS", 1000);
    let mut report = Report::default();
    machine::file_copy(&mut report, size);
    machine::syncs(&mut report);
    large::both_fronts(&mut report, size).await;
    large::without_moving_bytes(&mut report, size).await;
    large::four_keys(&mut report).await;
    for database in [Database::Sqlite, Database::Postgres] {
        small::sequential_puts(&mut report, database, puts).await;
    }
    report.print();
    report.write(&file);
}
