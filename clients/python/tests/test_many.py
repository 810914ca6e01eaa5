"""Calls about many objects, names, tags and repetitions, against the real binary."""

from __future__ import annotations

import httpx
import pytest

import juststorage
from juststorage import Object, Store, _wire


def _keys(store: Store, namespace: str) -> list[str | None]:
    return [found.key for found in store.objects(namespace) if isinstance(found, Object)]


def test_many_are_deleted(store: Store, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("a", "b", "c"):
        store.put(namespace, key, b"x")
    monkeypatch.setattr(_wire, "ENTRIES_MAX", 2)
    results = store.delete_many(namespace, iter(["a", "nothing", "c"]))
    assert [(result.key, result.outcome) for result in results] == [
        ("a", "deleted"),
        ("nothing", "not_found"),
        ("c", "deleted"),
    ]
    assert _keys(store, namespace) == ["b"]
    id = store.head(namespace, "b").id
    assert [result.outcome for result in store.delete_versions([id, id, id])] == ["deleted", "not_found", "not_found"]
    assert store.delete_many(namespace, []) == []
    with pytest.raises(juststorage.InvalidRequest) as refused:
        store.delete_many(namespace, ["x" * 1025])
    assert refused.value.code == "invalid_keys"


def test_a_prefix_is_deleted(store: Store, namespace: str) -> None:
    for number in range(5):
        store.put(namespace, f"docs/{number}", b"four")
    store.put(namespace, "other", b"x")
    preview = store.delete_prefix(namespace, "docs/", dry_run=True)
    assert (preview.deleted, preview.bytes, preview.delete_markers, preview.refused) == (5, 20, 0, [])
    assert len(_keys(store, namespace)) == 6
    assert store.delete_prefix(namespace, "docs/") == preview
    assert _keys(store, namespace) == ["other"]


def test_a_move_renames(store: Store, namespace: str) -> None:
    first = store.put(namespace, "a", b"1", metadata={"m": "v"})
    store.put(namespace, "b", b"2")
    with pytest.raises(juststorage.PreconditionFailed):
        store.move((namespace, "a"), (namespace, "b"), if_none_match="*")
    with pytest.raises(juststorage.PreconditionFailed):
        store.move((namespace, "b"), (namespace, "c"), if_match=first.etag)
    moved = store.move((namespace, "a"), (namespace, "b"), if_match=first.etag)
    assert (moved.key, moved.etag, moved.metadata) == ("b", first.etag, {"m": "v"})
    assert moved.id != first.id and _keys(store, namespace) == ["b"]
    with pytest.raises(juststorage.NotFound):
        store.move((namespace, "a"), (namespace, "c"))


def test_tags(store: Store, namespace: str) -> None:
    tagged = store.put(namespace, "tagged", b"x")
    store.put(namespace, "bare", b"x")
    store.set_tags(tagged.id, {"a=b": "c&d%", "team": "search"})
    assert store.tags(tagged.id) == {"a=b": "c&d%", "team": "search"}
    found = list(store.objects(namespace, tags={"a=b": "c&d%", "team": "search"}))
    assert [(line.key, line.tags["team"]) for line in found if isinstance(line, Object)] == [("tagged", "search")]
    assert list(store.objects(namespace, tags={"team": "nobody"})) == []
    store.set_tags(tagged.id, {})
    assert store.tags(tagged.id) == {}


def test_uploads_under_way(store: Store, namespace: str) -> None:
    first = store.begin_upload(namespace, "b/1")
    store.begin_upload(namespace, "a")
    store.put_part(first, 1, b"four")
    assert [(upload.key, upload.size) for upload in store.uploads(namespace)] == [("a", 0), ("b/1", 4)]
    assert [upload.id for upload in store.uploads(namespace, "b/")] == [first]
    store.abort_upload(first)
    assert list(store.uploads(namespace, "b/")) == []


def test_a_signed_upload_is_bound(store: Store, namespace: str) -> None:
    signed = store.presign("PUT", namespace, "in", content_type="image/png", size_max=4, if_none_match=True)
    assert httpx.put(signed.url, content=b"12345").status_code == 413
    assert httpx.put(signed.url, content=b"1", headers={"Content-Type": "text/html"}).status_code == 403
    assert httpx.put(signed.url, content=b"1234").status_code == 201
    assert httpx.put(signed.url, content=b"1234").status_code == 412
    assert store.head(namespace, "in").content_type == "image/png"


def test_an_object_without_a_key_is_made_once(store: Store, namespace: str) -> None:
    first = store.create(namespace, b"x", content_type="text/plain", idempotency_key="one")
    assert first.key is None
    assert store.create(namespace, b"x", content_type="text/plain", idempotency_key="one").id == first.id
    with pytest.raises(juststorage.ApiError) as refused:
        store.create(namespace, b"y", idempotency_key="one")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")
    assert store.create(namespace, b"x").id != store.create(namespace, b"x").id
