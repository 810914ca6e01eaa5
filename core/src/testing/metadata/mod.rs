//! The promises of [`MetadataStore`](crate::application::ports::metadata::MetadataStore), as tests that any
//! implementation can run.
//!
//! Each promise is a function that takes a store and panics if it is broken. A promise works in spaces of
//! its own and leaves the store consistent, so all of them may share one; [`metadata_promises!`] names them
//! all, for a test target to make one test of each.

pub mod bench;
pub mod content;
pub mod drafts;
pub mod garbage;
pub mod identity;
pub mod kept;
pub mod keys;
pub mod limits;
pub mod listing;
pub mod locks;
pub mod mirrors;
pub mod moves;
pub mod objects;
pub mod once;
pub mod outbox;
pub mod races;
pub mod retention;
pub mod scrub;
pub mod segments;
pub mod settings;
pub mod spaces;
pub mod stuck;
pub mod uploads;
pub mod upstreams;
pub mod versions;

use crate::application::ports::metadata::MetadataStore;

/// Calls a macro once for every promise, as `$promise!(theme, name)`.
#[macro_export]
macro_rules! metadata_promises {
    ($promise:ident) => {
        $promise!(objects, only_committed_objects_are_visible);
        $promise!(objects, an_object_comes_back_as_it_was_put);
        $promise!(objects, conditions_are_decided_on_the_current_version);
        $promise!(objects, an_update_changes_what_is_carried_and_nothing_else);
        $promise!(objects, a_refused_change_leaves_no_trace);
        $promise!(objects, a_change_that_cannot_be_made_does_not_fail_its_neighbours);
        $promise!(objects, a_batch_is_applied_in_order);
        $promise!(objects, keyless_objects_live_by_their_id);
        $promise!(races, of_two_creators_of_a_key_one_wins);
        $promise!(races, of_updates_at_once_none_is_lost);
        $promise!(races, of_many_swappers_each_sees_the_one_before);
        $promise!(races, a_condition_never_misses_a_key_that_is_overwritten);
        $promise!(races, writers_of_one_key_all_succeed_and_one_is_latest);
        $promise!(races, collectors_and_committers_do_not_lose_blobs);
        $promise!(races, versions_deleted_while_written_stay_consistent);
        $promise!(races, parts_put_together_are_all_there);
        $promise!(versions, without_versioning_a_write_replaces);
        $promise!(versions, with_versioning_every_write_stays);
        $promise!(versions, suspended_versioning_replaces_the_null_version);
        $promise!(versions, a_deleted_version_makes_way_for_the_one_before);
        $promise!(versions, ids_ascend_whatever_the_clock_says);
        $promise!(content, identical_content_is_stored_once_in_a_domain);
        $promise!(content, domains_share_nothing);
        $promise!(content, a_duplicate_single_is_dropped);
        $promise!(content, damaged_content_is_replaced_by_the_next_upload);
        $promise!(content, hotter_bytes_take_over);
        $promise!(content, copies_refer_to_the_same_blob);
        $promise!(content, slices_read_as_the_stretch_they_are);
        $promise!(listing, keys_come_in_order_of_their_bytes);
        $promise!(listing, pages_join_without_gap_or_repetition);
        $promise!(listing, prefixes_bound_a_page);
        $promise!(listing, a_walk_goes_from_prefix_to_prefix);
        $promise!(listing, versions_come_newest_first_and_page_within_a_key);
        $promise!(listing, keyless_objects_come_first_if_asked_for);
        $promise!(listing, a_page_during_writes_misses_nothing_that_stays);
        $promise!(upstreams, a_binding_is_one_of_the_settings);
        $promise!(upstreams, what_is_let_go_is_read_through_again);
        $promise!(upstreams, what_is_fetched_never_replaces_anything);
        $promise!(upstreams, of_a_fetch_and_what_happens_at_once_that_wins);
        $promise!(upstreams, a_removed_version_is_remembered);
        $promise!(upstreams, a_refused_removal_hides_nothing);
        $promise!(upstreams, a_pass_over_an_upstream_goes_on);
        $promise!(mirrors, versions_that_were_sent_are_remembered);
        $promise!(upstreams, clients_are_counted_where_there_is_an_upstream);
        $promise!(uploads, parts_become_one_object);
        $promise!(uploads, parts_may_be_replaced_and_left_out);
        $promise!(uploads, a_wrong_completion_is_refused_and_may_be_repeated);
        $promise!(uploads, composites_of_composites_are_flat);
        $promise!(uploads, empty_parts_keep_their_numbers);
        $promise!(uploads, checksums_of_parts_are_confirmed);
        $promise!(uploads, uploads_are_listed_by_key_and_age);
        $promise!(uploads, an_aborted_upload_leaves_nothing);
        $promise!(uploads, what_was_completed_is_remembered);
        $promise!(uploads, a_completion_of_parts_that_changed_is_refused);
        $promise!(uploads, copied_pieces_are_bounded);
        $promise!(drafts, a_long_composite_is_drafted_first);
        $promise!(drafts, a_stale_draft_is_not_taken);
        $promise!(garbage, what_is_referred_to_stays);
        $promise!(garbage, what_is_deleted_goes);
        $promise!(garbage, a_large_composite_goes_in_pages);
        $promise!(garbage, composites_take_their_children_with_them);
        $promise!(garbage, the_hottest_object_decides_the_tier);
        $promise!(garbage, relocation_follows_only_what_did_not_move);
        $promise!(garbage, sparse_packs_are_found_and_emptied);
        $promise!(identity, a_store_keeps_its_name_and_its_tiers);
        $promise!(identity, a_sealed_constant_is_replaced_by_who_knows_it);
        $promise!(identity, noted_starts_show_while_their_writer_lives);
        $promise!(identity, a_start_ends_the_one_before);
        $promise!(identity, a_sample_is_of_segments_that_hold_bytes);
        $promise!(segments, a_pack_lives_from_open_to_gone);
        $promise!(segments, a_lost_segment_cannot_be_committed_into);
        $promise!(segments, what_a_dead_writer_left_is_returned_until_settled);
        $promise!(segments, announced_writes_become_objects_or_nothing);
        $promise!(retention, a_condemned_segment_waits_for_the_retention);
        $promise!(retention, what_no_backup_can_name_does_not_wait);
        $promise!(retention, a_hold_keeps_every_condemned_segment);
        $promise!(stuck, an_item_is_put_aside_until_it_is_cleared);
        $promise!(stuck, the_named_are_purged_and_swept_and_nothing_else);
        $promise!(kept, commits_are_counted_once_asked_for);
        $promise!(kept, unknown_bytes_are_dead_unless_the_segment_is_kept);
        $promise!(kept, a_kept_segment_is_given_up);
        $promise!(kept, what_is_set_aside_is_found_and_its_writer_lives);
        $promise!(scrub, a_pass_is_taken_on_by_one_at_a_time);
        $promise!(scrub, damage_is_listed_until_it_is_released);
        $promise!(scrub, a_segment_is_adopted_whole_or_not_at_all);
        $promise!(spaces, buckets_name_spaces);
        $promise!(spaces, buckets_are_listed_by_name);
        $promise!(spaces, spaces_are_listed_by_address);
        $promise!(spaces, a_space_has_settings_without_a_bucket);
        $promise!(spaces, only_an_empty_bucket_can_be_deleted);
        $promise!(spaces, a_write_through_a_bucket_that_is_gone_is_refused);
        $promise!(spaces, usage_is_what_a_recount_finds);
        $promise!(spaces, open_parts_and_markers_are_counted);
        $promise!(settings, documents_replace_their_kind_and_move_the_revision);
        $promise!(settings, documents_are_set_through_the_bucket_that_names_the_space);
        $promise!(settings, lifecycle_passes_are_found_until_done);
        $promise!(moves, a_moved_object_is_under_its_new_key_alone);
        $promise!(moves, with_versioning_a_move_leaves_a_marker);
        $promise!(moves, a_move_is_decided_on_what_is_there);
        $promise!(moves, a_move_sees_the_changes_before_it);
        $promise!(moves, a_held_version_stays_where_it_is);
        $promise!(moves, a_rename_needs_no_room);
        $promise!(moves, of_two_moves_of_one_object_one_wins);
        $promise!(once, a_repeated_request_makes_one_object);
        $promise!(once, a_key_is_of_one_request_and_one_tenant);
        $promise!(once, a_key_is_forgotten_after_a_day);
        $promise!(once, a_tenant_has_so_many_keys_at_most);
        $promise!(once, of_many_repetitions_at_once_one_makes_the_object);
        $promise!(outbox, a_change_is_told_with_its_commit);
        $promise!(outbox, rows_of_a_key_ascend_as_their_commits);
        $promise!(outbox, a_row_waits_until_it_is_acknowledged);
        $promise!(outbox, a_replay_takes_each_row_once);
        $promise!(outbox, a_target_stays_while_it_is_needed);
        $promise!(outbox, a_full_target_refuses_or_drops);
        $promise!(locks, a_held_version_stays_on_every_path);
        $promise!(locks, nobody_bypasses_compliance_or_a_legal_hold);
        $promise!(locks, a_held_version_reads_as_it_did);
        $promise!(locks, new_versions_get_the_default_retention);
        $promise!(locks, locking_takes_versioning_and_keeps_it);
        $promise!(locks, a_bucket_is_made_with_locks);
        $promise!(locks, verdicts_hold_only_for_what_was_judged);
        $promise!(keys, credentials_come_back_until_revoked);
        $promise!(keys, a_declared_key_is_stored_once);
        $promise!(settings, a_declared_bucket_is_made_whole_and_once);
        $promise!(keys, a_lease_has_one_holder);
        $promise!(keys, a_rotated_key_ends_as_its_successor_begins);
        $promise!(keys, the_database_grows_with_what_it_holds);
        $promise!(limits, what_is_said_of_a_tenant_comes_back);
        $promise!(limits, a_quota_holds_against_many_at_once);
        $promise!(limits, what_is_replaced_makes_room);
        $promise!(limits, a_null_version_behind_the_latest_makes_room);
    };
}

/// Runs every promise on one store, one after another.
pub async fn run_all(store: &dyn MetadataStore) {
    macro_rules! promise {
        ($theme:ident, $name:ident) => {
            $theme::$name(store).await;
        };
    }
    metadata_promises!(promise);
}
