"""Every call, against the real binary."""

from __future__ import annotations

import hashlib
import io
import pathlib

import httpx
import pytest
from conftest import Server

import juststorage
from juststorage import Object, Prefix, Store


def test_what_is_put_comes_back(store: Store, namespace: str) -> None:
    stored = store.put(
        namespace, "a/b.txt", b"hello", content_type="text/plain", metadata={"owner": "grün"}, storage_class="cold"
    )
    assert stored.content_hash == f"sha256:{hashlib.sha256(b'hello').hexdigest()}"
    assert (stored.key, stored.size, stored.tenant, stored.metadata) == ("a/b.txt", 5, "default", {"owner": "grün"})
    assert store.get(namespace, "a/b.txt") == b"hello"
    assert store.get(namespace, "a/b.txt", start=1, end=3) == b"el"
    assert store.get(namespace, "a/b.txt", start=3) == b"lo"
    head = store.head(namespace, "a/b.txt")
    assert (head.id, head.size, head.etag) == (stored.id, 5, stored.etag)
    assert (head.content_type, head.storage_class, head.metadata) == ("text/plain", "cold", {"owner": "grün"})
    with store.open(namespace, "a/b.txt", start=1, end=2) as download:
        assert download.head.size == 5 and b"".join(download) == b"e"


@pytest.mark.parametrize(
    "key", ["a//b", "../x", "a/./b", ".", "a%2Fb", "ü €", "a?b#c", "a+b c", "\\", "a/", "tail ", "'\"<&>", "x" * 1024]
)
def test_keys_are_opaque(store: Store, namespace: str, key: str) -> None:
    store.put(namespace, key, key.encode())
    assert store.get(namespace, key) == key.encode()
    assert [found.key for found in store.objects(namespace) if isinstance(found, Object)] == [key]
    store.delete(namespace, key)
    assert not store.exists(namespace, key)


@pytest.mark.parametrize("size", [0, 1, 262144, 3_000_001])
def test_bytes_files_and_streams(store: Store, namespace: str, size: int, tmp_path: pathlib.Path) -> None:
    data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    (tmp_path / "file").write_bytes(b"before" + data)
    seen: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        seen.append((done, total))

    hashes = {store.put(namespace, "bytes", data, progress=progress).content_hash}
    assert not size or seen[-1] == (size, size)
    with open(tmp_path / "file", "rb") as file:
        file.seek(6)
        hashes.add(store.put(namespace, "file", file).content_hash)
    pieces = (data[begin : begin + 1000] for begin in range(0, size, 1000))
    hashes.add(store.put(namespace, "stream", pieces, progress=progress).content_hash)
    assert not size or seen[-1] == (size, None)
    hashes.add(store.put(namespace, "buffer", io.BytesIO(data)).content_hash)
    assert hashes == {f"sha256:{hashlib.sha256(data).hexdigest()}"}
    assert store.get(namespace, "stream", progress=progress) == data
    assert not size or seen[-1] == (size, size)


def test_conditions(store: Store, namespace: str) -> None:
    first = store.put(namespace, "k", b"1", if_none_match="*")
    with pytest.raises(juststorage.PreconditionFailed) as failed:
        store.put(namespace, "k", b"2", if_none_match="*")
    assert failed.value.code == "precondition_failed" and failed.value.request_id
    second = store.put(namespace, "k", b"2", if_match=first.etag)
    with pytest.raises(juststorage.PreconditionFailed):
        store.delete(namespace, "k", if_match=first.etag)
    assert store.get(namespace, "k", if_match=second.etag) == b"2"


def test_listing_pages_and_prefixes(store: Store, namespace: str) -> None:
    for number in range(25):
        store.put(namespace, f"a/{number:02}", b"")
    store.put(namespace, "b/c/d", b"")
    store.put(namespace, "top", b"")
    keys = [found.key for found in store.objects(namespace, "a/", page=10) if isinstance(found, Object)]
    assert keys == [f"a/{number:02}" for number in range(25)]
    top = list(store.objects(namespace, delimiter="/"))
    assert {found.name for found in top if isinstance(found, Prefix)} == {"a/", "b/"}
    assert [found.key for found in top if isinstance(found, Object)] == ["top"]
    assert not list(store.objects(namespace, "none"))


def test_change_copy_delete(store: Store, namespace: str) -> None:
    stored = store.put(namespace, "k", b"1", metadata={"a": "1"})
    changed = store.update(stored.id, {"metadata": {"a": None, "b": "2"}, "storage_class": "cold"})
    assert (changed.metadata, changed.storage_class) == ({"b": "2"}, "cold")
    copied = store.copy((namespace, "k"), (namespace, "k2"))
    assert copied.content_hash == stored.content_hash
    store.delete_version(copied.id)
    store.delete(namespace, "k")
    store.delete(namespace, "k")
    assert not store.exists(namespace, "k") and not store.exists(namespace, "k2")
    with pytest.raises(juststorage.NotFound) as failed:
        store.get(namespace, "k")
    assert (failed.value.status, failed.value.code) == (404, "object_not_found")


def test_tenants_are_apart(server: Server, namespace: str) -> None:
    with Store(server.url, tenant="acme") as acme:
        stored = acme.put(namespace, "k", b"1")
        assert stored.tenant == "acme"
        assert not acme.exists(namespace, "k", tenant="other")
        with pytest.raises(juststorage.NotFound):
            acme.delete_version(stored.id, tenant="other")


def test_signed_urls(store: Store, namespace: str) -> None:
    signed = store.presign("PUT", namespace, "k", expires_in=60)
    assert httpx.put(signed.url, content=b"signed").status_code == 201
    assert httpx.get(store.presign("GET", namespace, "k").url).content == b"signed"


def test_errors_say_what_to_do(server: Server, guarded: Server, namespace: str) -> None:
    with Store(server.url) as store, pytest.raises(juststorage.InvalidRequest) as invalid:
        store.put("Wrong", "k", b"")
    assert (invalid.value.status, invalid.value.code, invalid.value.field) == (400, "invalid_namespace", "namespace")
    with Store(guarded.url) as store, pytest.raises(juststorage.Unauthenticated):
        store.put(namespace, "k", b"")
    with Store(guarded.url, token=guarded.token, tenant="acme") as store:
        assert not store.exists(namespace, "k")
        with pytest.raises(juststorage.Forbidden):
            store.put(namespace, "k", b"")
    with pytest.raises(TypeError), Store(server.url) as store:
        store.put(namespace, "k", 1)  # type: ignore[arg-type]
