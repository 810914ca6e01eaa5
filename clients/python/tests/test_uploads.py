"""Files in parts, interrupted anywhere."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import httpx
import pytest
from conftest import Server
from faulty import Faulty, Lost, Torn

import juststorage
from juststorage import IntegrityError, Store

STEP = 5 * 1024 * 1024


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2 * STEP + 12345))
    return path


def test_a_file_in_parts(store: Store, namespace: str, file: pathlib.Path) -> None:
    seen: list[tuple[int, int | None]] = []
    stored = store.upload_file(
        namespace,
        "k",
        file,
        part_size=STEP,
        content_type="a/b",
        metadata={"a": "b"},
        progress=lambda done, total: seen.append((done, total)),
    )
    size = file.stat().st_size
    assert seen == [(STEP, size), (2 * STEP, size), (size, size)]
    assert (stored.size, stored.content_type, stored.metadata["a"]) == (size, "a/b", "b")
    assert stored.content_hash.endswith("-3")
    target = file.with_name("target")
    head = store.download_file(namespace, "k", target)
    assert head.id == stored.id and target.read_bytes() == file.read_bytes()
    assert not file.with_name("target.part").exists()


def test_a_small_file_and_an_empty_one(store: Store, namespace: str, tmp_path: pathlib.Path) -> None:
    for data in (b"", b"small"):
        (tmp_path / "file").write_bytes(data)
        stored = store.upload_file(namespace, "k", tmp_path / "file", if_match=None)
        assert "-" not in stored.content_hash
        store.download_file(namespace, "k", tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == data


def test_an_upload_is_resumed_where_it_broke(server: Server, namespace: str, file: pathlib.Path) -> None:
    def third_part(_: int, request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/parts/3"):
            raise httpx.WriteError("on purpose", request=request)
        return None

    with Store(server.url, retries=1, transport=Faulty(third_part)) as store:
        with pytest.raises(httpx.WriteError) as failed:
            store.upload_file(namespace, "k", file, part_size=STEP)
    upload = failed.value.upload_id  # type: ignore[attr-defined]
    watched = Faulty(lambda *_: None)
    with Store(server.url, transport=watched) as store:
        assert [part.number for part in store.parts(upload)] == [1, 2]
        # The second part of the file changed since: it is sent again.
        with open(file, "r+b") as changed:
            changed.seek(STEP)
            changed.write(b"changed")
        store.upload_file(namespace, "k", file, resume=upload)
        sent = [request.url.path.rpartition("/")[2] for request in watched.requests if request.method == "PUT"]
        assert sent == ["2", "3"]
        assert store.get(namespace, "k") == file.read_bytes()
        with pytest.raises(juststorage.NotFound):
            store.parts(upload)


def test_an_upload_is_aborted(store: Store, namespace: str) -> None:
    upload = store.begin_upload(namespace, "k")
    store.put_part(upload, 1, b"x")
    store.abort_upload(upload)
    with pytest.raises(juststorage.NotFound):
        store.put_part(upload, 2, b"y")


@pytest.mark.parametrize("lost", range(1, 6))
def test_lost_answers_are_asked_for_again(server: Server, namespace: str, file: pathlib.Path, lost: int) -> None:
    transport = Lost(lambda number: number == lost)
    with Store(server.url, transport=transport) as store:
        store.upload_file(namespace, "k", file, part_size=STEP)
        assert transport.count == 6
        assert store.get(namespace, "k") == file.read_bytes()


def test_busy_servers_are_asked_again_and_others_are_not(server: Server, namespace: str) -> None:
    def busy(number: int, _: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503, headers={"Retry-After": "0"}) if number <= 2 else None

    transport = Faulty(busy)
    with Store(server.url, transport=transport) as store:
        store.put(namespace, "k", b"data", if_none_match="*")
    assert len(transport.requests) == 3
    for status, kind in [(500, juststorage.ApiError), (507, juststorage.StorageFull), (503, juststorage.Unavailable)]:
        transport = Faulty(lambda *_, status=status: httpx.Response(status, headers={"Retry-After": "0"}))
        with Store(server.url, retries=1, transport=transport) as store, pytest.raises(kind):
            store.get(namespace, "k")
        assert len(transport.requests) == (2 if status == 503 else 1)


def test_a_conditional_write_is_not_repeated_blindly(server: Server, namespace: str) -> None:
    with Store(server.url, transport=Lost(lambda number: number == 1)) as store:
        with pytest.raises(httpx.ReadError):
            store.put(namespace, "k", b"1", if_none_match="*")
        # Without a condition a repetition does no harm.
        assert store.get(namespace, "k") == b"1"
    with Store(server.url, transport=Lost(lambda number: number == 1)) as store:
        store.put(namespace, "k", b"2")


def test_a_stream_cannot_be_sent_again(server: Server, namespace: str) -> None:
    transport = Faulty(lambda *_: httpx.Response(503))
    with Store(server.url, transport=transport) as store, pytest.raises(juststorage.Unavailable):
        store.put(namespace, "k", iter([b"a", b"b"]))
    assert len(transport.requests) == 1


def test_a_download_goes_on_where_it_broke(server: Server, namespace: str, file: pathlib.Path) -> None:
    def breaks(number: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        done = 0
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            if number <= 2 and done > STEP // 2:
                raise httpx.ReadError("on purpose")

    with Store(server.url) as plain:
        plain.upload_file(namespace, "k", file, part_size=STEP)
    transport = Torn(breaks)
    target = file.with_name("target")
    with Store(server.url, transport=transport) as store:
        store.download_file(namespace, "k", target)
    assert transport.count == 3 and target.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("parts", [True, False])
def test_damage_on_the_way_is_noticed(server: Server, namespace: str, file: pathlib.Path, parts: bool) -> None:
    def flips(_: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for number, chunk in enumerate(chunks):
            yield bytes([chunk[0] ^ 1]) + chunk[1:] if number == 0 and chunk else chunk

    with Store(server.url) as plain:
        if parts:
            plain.upload_file(namespace, "k", file, part_size=STEP)
        else:
            plain.put(namespace, "k", file.read_bytes())
    target = file.with_name("target")
    target.write_bytes(b"before")
    with Store(server.url, transport=Torn(flips)) as store:
        with pytest.raises(IntegrityError):
            store.get(namespace, "k")
        with pytest.raises(IntegrityError):
            store.download_file(namespace, "k", target)
    assert target.read_bytes() == b"before" and not file.with_name("target.part").exists()


def test_another_object_in_between_is_noticed(server: Server, namespace: str, file: pathlib.Path) -> None:
    with Store(server.url) as plain:
        plain.put(namespace, "k", file.read_bytes())

        def replaced(number: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
            yield next(chunks)
            if number == 1:
                plain.put(namespace, "k", b"another")
                raise httpx.ReadError("on purpose")
            yield from chunks

        with Store(server.url, transport=Torn(replaced)) as store:
            with pytest.raises(juststorage.PreconditionFailed):
                store.download_file(namespace, "k", file.with_name("target"))
    assert not file.with_name("target").exists()


def test_parts_of_others_are_counted_only(store: Store, namespace: str, file: pathlib.Path) -> None:
    upload = store.begin_upload(namespace, "k")
    data = file.read_bytes()
    store.put_part(upload, 1, data[:STEP])
    store.put_part(upload, 2, data[STEP:])
    store.complete_upload(upload)
    assert store.get(namespace, "k") == data


@pytest.mark.parametrize("size", [STEP - 1, 1000])
def test_parts_have_a_size(store: Store, namespace: str, file: pathlib.Path, size: int) -> None:
    with pytest.raises(ValueError):
        store.upload_file(namespace, "k", file, part_size=size)
