"""The asynchronous client: made by hand, the synchronous one of it, so this is the same code on other input and output."""

from __future__ import annotations

import asyncio
import os
import pathlib
from collections.abc import AsyncIterator

import pytest
from conftest import Server

from juststorage import AsyncStore, NotFound, Object


def test_everything(server: Server, namespace: str, tmp_path: pathlib.Path) -> None:
    data = os.urandom(11_000_000)
    (tmp_path / "file").write_bytes(data)

    async def stream() -> AsyncIterator[bytes]:
        yield data[:1_000_000]
        yield data[1_000_000:]

    async def run() -> None:
        async with AsyncStore(server.url) as store:
            await asyncio.gather(*(store.put(namespace, f"many/{number}", b"x" * number) for number in range(20)))
            sizes = [found.size async for found in store.objects(namespace, "many/") if isinstance(found, Object)]
            assert sorted(sizes) == list(range(20))
            await store.put(namespace, "stream", stream())
            assert await store.get(namespace, "stream") == data
            with open(tmp_path / "file", "rb") as file:
                await store.put(namespace, "file", file)
            stored = await store.upload_file(namespace, "parts", tmp_path / "file", part_size=5 * 1024 * 1024)
            assert stored.content_hash.endswith("-3")
            await store.download_file(namespace, "parts", tmp_path / "target")
            async with store.open(namespace, "file", start=5, end=10) as download:
                assert b"".join([chunk async for chunk in download]) == data[5:10]
            await store.delete(namespace, "file")
            with pytest.raises(NotFound):
                await store.head(namespace, "file")

    asyncio.run(run())
    assert (tmp_path / "target").read_bytes() == data
