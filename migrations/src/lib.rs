//! The SQL schemas of both engines, embedded.
//!
//! A migration is one file per engine, of the same name: `sqlite/NNNN_name.sql` and
//! `postgres/NNNN_name.sql`. A released file never changes; the schema moves by adding files, and in steps
//! that the previous release can still work with (expand, then contract).

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

macro_rules! embed {
    ($engine:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../", $engine, "/", $file)))),+]
    };
}

/// Names every file once, for both engines. One a line: branches that each add one then merge well.
macro_rules! files {
    ($($file:literal,)+) => {
        /// The files for SQLite, oldest first: name and text.
        pub const SQLITE: &[(&str, &str)] = embed!("sqlite": $($file),+);

        /// The files for PostgreSQL, oldest first: name and text.
        pub const POSTGRES: &[(&str, &str)] = embed!("postgres": $($file),+);
    };
}

files! {
    "0001_initial.sql",
    "0002_part_checksums.sql",
    "0003_space_settings.sql",
    "0005_scrub.sql",
    "0006_live_objects.sql",
    "0007_tenant_limits.sql",
    "0008_latest_covers.sql",
    "0009_acls.sql",
    "0010_store.sql",
    "0011_retention.sql",
    "0012_stuck.sql",
    "0013_upload_usage.sql",
    "0014_storage_class.sql",
    "0016_leaf_verdicts.sql",
    "0017_drafts.sql",
    "0018_live_share.sql",
    "0020_fenced_commits.sql",
    "0021_part_counts.sql",
    "0022_segment_format.sql",
    "0023_idempotency.sql",
    "0026_outbox.sql",
    "0027_upstreams.sql",
    "0028_key_prefixes.sql",
    "0029_small_packs.sql",
    "0030_outbox_kept.sql",
    "0031_upstream_proofs.sql",
    "0032_replicas.sql",
    "0033_mirror.sql",
    "0034_mirror_versions.sql",
    "0035_upstream_clients.sql",
}

/// What brings a SQLite database to the newest schema.
pub fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// What brings a PostgreSQL database to the newest schema.
pub fn postgres() -> Migrator {
    migrator(POSTGRES)
}

/// The versions that this program knows, ascending.
pub fn versions() -> impl Iterator<Item = i64> {
    SQLITE.iter().filter_map(|(file, _)| parse(file)).map(|(version, _)| version)
}

/// The schema's version that this program was built for.
pub fn newest() -> i64 {
    versions().last().unwrap_or_default()
}

fn migrator(files: &'static [(&'static str, &'static str)]) -> Migrator {
    let migration = |(file, text): &(&'static str, &'static str)| {
        let (version, name) = parse(file)?;
        let sql = AssertSqlSafe(*text).into_sql_str();
        Some(Migration::new(version, name.into(), MigrationType::Simple, sql, false))
    };
    Migrator::with_migrations(files.iter().filter_map(migration).collect())
}

/// `0001_initial.sql` is version 1, "initial".
fn parse(file: &'static str) -> Option<(i64, &'static str)> {
    let (number, name) = file.strip_suffix(".sql")?.split_once('_')?;
    Some((number.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose name cannot be read would silently be left out.
    #[test]
    fn both_engines_have_the_same_files_and_each_has_a_number_of_its_own() {
        let names = |files: &[(&'static str, &str)]| files.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
        let versions: Vec<_> = SQLITE.iter().map(|(file, _)| parse(file).map(|(v, _)| v)).collect();
        assert!(versions.iter().all(Option::is_some), "{versions:?}");
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
        assert_eq!(versions.last().copied().flatten(), Some(newest()));
    }

    /// A file that lies in the directory but is not named above would never be applied.
    #[test]
    fn every_file_is_embedded() {
        for (engine, files) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(engine);
            let mut found: Vec<_> = std::fs::read_dir(directory)
                .map(|entries| {
                    entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
                })
                .unwrap_or_default();
            found.sort();
            assert_eq!(found, files.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        }
    }
}
