//! The protocol by which bytes come and go, as a model of its own, walked through exhaustively: writers, deleters,
//! copiers, completers, readers, garbage collection and compaction (which is also what a move between tiers is),
//! over two keys and two contents, with power cuts and with writers that are taken for dead while they live.
//!
//! Every state that any order of steps can reach is looked at. In each: what a row refers to is whole and durable
//! (B), a reader gets the bytes that it came for (D), and if everybody stopped here, recovery and garbage collection
//! alone would leave no file and no row that nothing refers to (C).
//!
//! A model proves something about the program only as far as it is like it, so each step says which function it
//! stands for; and it must be able to fail, so each rule of the protocol is taken away once, and the walk must end
//! in the accident that other stores had for want of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rules;
mod walk;
mod world;

use rules::{Accident, Crew, Rules};
use walk::{Walk, walk};

fn explored(name: &str, crew: Crew) -> Walk {
    let walk = walk(crew, Rules::default());
    if let Some((accident, way)) = &walk.accident {
        panic!("{name}: {accident:?} after\n{}", way.join("\n"));
    }
    println!(
        "figures: protocol: {name}: {} states, {} steps between them, 0 accidents",
        walk.states, walk.steps
    );
    walk
}

fn accident(rules: Rules, crew: Crew) -> Accident {
    let walk = walk(crew, rules);
    let (accident, way) = walk.accident.expect("without its rule the protocol fails");
    println!("{accident:?} after {} steps:\n{}", way.len(), way.join("\n"));
    accident
}

#[test]
fn writers_deleters_and_the_collector() {
    let walk = explored("writers", Crew { writers: [2, 1], deletes: 1, cuts: 1, ..Crew::default() });
    assert!(walk.states > 10_000, "hardly anything can happen in this world");
}

#[test]
fn copiers_beside_the_collector() {
    explored("copies", Crew { writers: [2, 0], deletes: 2, copies: 2, cuts: 1, ..Crew::default() });
}

#[test]
fn completers_beside_the_collector() {
    explored("completions", Crew { writers: [1, 0], deletes: 2, uploads: 1, cuts: 1, ..Crew::default() });
}

#[test]
fn movers_and_readers_beside_the_collector() {
    explored("moves", Crew { writers: [2, 0], deletes: 1, moves: 2, reads: 1, cuts: 1, ..Crew::default() });
}

#[test]
fn writers_that_are_taken_for_dead() {
    explored("leases", Crew { writers: [1, 1], deletes: 1, moves: 1, deaths: 2, ..Crew::default() });
}

#[test]
fn clients_that_vanish() {
    explored("vanished", Crew { writers: [2, 1], deletes: 1, vanish: 2, cuts: 1, ..Crew::default() });
}

/// Whether the worlds of the long campaign are walked too: `JUSTSTORAGE_PROTOCOL=whole`.
fn whole() -> bool {
    std::env::var("JUSTSTORAGE_PROTOCOL").as_deref() == Ok("whole")
}

/// Everybody at once, with one writer: with two, a walk of a hundred seconds did not come to its end.
#[test]
fn everybody_at_once() {
    if whole() {
        let crew = Crew { writers: [1, 0], deletes: 1, copies: 1, uploads: 1, ..Crew::default() };
        explored("everybody", Crew { moves: 1, reads: 1, cuts: 1, ..crew });
    }
}

/// Two writers beside other references to a blob.
#[test]
fn writers_copiers_and_completers() {
    if whole() {
        explored(
            "references",
            Crew { writers: [1, 1], deletes: 1, copies: 1, uploads: 1, cuts: 1, ..Crew::default() },
        );
    }
}

/// Uploaded, not yet referenced: a collector that looks for files without references takes an upload's.
#[test]
fn a_collector_that_lists_files_takes_uploads() {
    let rules = Rules { collect_by_rows: false, ..Rules::default() };
    assert_eq!(accident(rules, Crew { writers: [1, 0], ..Crew::default() }), Accident::RowWithoutBytes);
}

/// Re-upload of just-deleted bytes: with files named after their content a late unlink takes the new upload's.
#[test]
fn names_made_of_hashes_are_hit_by_late_unlinks() {
    let rules = Rules { fresh_names: false, ..Rules::default() };
    let crew = Crew { writers: [2, 0], deletes: 1, ..Crew::default() };
    // The shortest way: the second upload registers its segment over the row of the first.
    assert_eq!(accident(rules, crew), Accident::CondemnedReference);
}

/// The collector's listing fails half way, or is old: what it did not see referred to is deleted.
#[test]
fn judging_by_an_old_listing_loses_blobs() {
    let rules = Rules { judge_under_lock: false, ..Rules::default() };
    let crew = Crew { writers: [2, 0], deletes: 1, copies: 1, ..Crew::default() };
    assert_eq!(accident(rules, crew), Accident::DanglingReference);
}

/// A copy that does not look whether its source is still there refers to nothing.
#[test]
fn copies_without_a_foreign_key_dangle() {
    let rules = Rules { copies_check: false, ..Rules::default() };
    let crew = Crew { writers: [1, 0], deletes: 1, copies: 1, ..Crew::default() };
    assert_eq!(accident(rules, crew), Accident::DanglingReference);
}

/// Bytes that are not durable before their row are gone after a power cut.
#[test]
fn rows_before_bytes_lose_bytes() {
    let rules = Rules { sync_before_commit: false, ..Rules::default() };
    assert_eq!(
        accident(rules, Crew { writers: [1, 0], cuts: 1, ..Crew::default() }),
        Accident::RowWithoutBytes
    );
}

/// A row that is forgotten before its file is gone for good leaves a file that no row names.
#[test]
fn forgetting_before_the_unlink_is_durable_leaks() {
    let rules = Rules { sync_removal: false, ..Rules::default() };
    let crew = Crew { writers: [1, 0], deletes: 1, cuts: 1, ..Crew::default() };
    assert_eq!(accident(rules, crew), Accident::Leak);
}

/// A file that exists before its row belongs to no row after a power cut.
#[test]
fn files_before_rows_leak() {
    let rules = Rules { register_first: false, ..Rules::default() };
    assert_eq!(accident(rules, Crew { writers: [1, 0], cuts: 1, ..Crew::default() }), Accident::Leak);
}

/// A writer that was taken for dead before it made its file makes one that no row names.
#[test]
fn writers_that_do_not_clean_up_behind_a_take_over_leak() {
    let rules = Rules { refused_remove: false, ..Rules::default() };
    let crew = Crew { writers: [1, 0], deaths: 1, ..Crew::default() };
    assert_eq!(accident(rules, crew), Accident::Leak);
}

/// A writer that was taken for dead and commits all the same refers to what is about to be removed.
#[test]
fn commits_without_a_fence_refer_to_condemned_bytes() {
    let rules = Rules { fence: false, ..Rules::default() };
    let crew = Crew { writers: [1, 0], deaths: 1, ..Crew::default() };
    assert_eq!(accident(rules, crew), Accident::CondemnedReference);
}

/// A move that does not look whether the blob is still where it was copied from points a new blob at old bytes, or
/// takes a segment from under it.
#[test]
fn moves_without_a_comparison_lose_blobs() {
    let rules = Rules { moves_compare: false, ..Rules::default() };
    let crew = Crew { writers: [2, 0], deletes: 1, moves: 2, ..Crew::default() };
    let accident = accident(rules, crew);
    assert!(matches!(accident, Accident::Leak | Accident::CondemnedReference | Accident::RowWithoutBytes));
}

/// A reader that takes a missing file for a loss, when its bytes have only moved, quarantines what is sound.
#[test]
fn readers_that_do_not_look_again_miss_what_moved() {
    let rules = Rules { readers_look_again: false, ..Rules::default() };
    let crew = Crew { writers: [1, 0], moves: 1, reads: 1, ..Crew::default() };
    assert_eq!(accident(rules, crew), Accident::ReadFailed);
}
