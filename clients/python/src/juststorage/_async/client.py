"""The client: reading, listing, deleting. `_sync/client.py` is made of this file by `tools/unasync.py`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from .. import _wire
from ..errors import ApiError, IntegrityError, NotFound
from ..types import (
    Deletion,
    Head,
    Object,
    Prefix,
    PrefixDeletion,
    Progress,
    SignedUrl,
    read_deletion,
    read_head,
    read_object,
    read_signed,
)
from . import _io
from .calls import tenant_header
from .uploads import AsyncUploads


class AsyncDownload:
    """An object on its way: iterate over its bytes. The last step raises `IntegrityError` unless they are those stored."""

    def __init__(self, response: httpx.Response, progress: Progress | None) -> None:
        self.head: Head = read_head(response.headers)
        self._response = response
        self._progress = progress
        self.is_whole = response.status_code == 200

    async def __aiter__(self) -> AsyncIterator[bytes]:
        check = _wire.Verifier(self.head.content_hash, self.head.size, self.head.metadata) if self.is_whole else None
        done = 0
        total = int(self._response.headers["content-length"])
        async for chunk in self._response.aiter_raw(_wire.CHUNK_BYTES):
            if check is not None:
                check.update(chunk)
            done += len(chunk)
            if self._progress is not None:
                self._progress(done, total)
            yield chunk
        if check is not None:
            check.finish()
        elif done != total:
            raise IntegrityError(f"{done} bytes came of {total}")


class AsyncStore(AsyncUploads):
    """A store, by its native API.

    `tenant` is the default of every call. A request that fails for a passing reason (no connection, 429, 503) is
    repeated up to `retries` times if its body can be sent again. `transport` is for tests and proxies.
    """

    # Read

    @asynccontextmanager
    async def open(
        self,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        progress: Progress | None = None,
    ) -> AsyncIterator[AsyncDownload]:
        """An object, or its bytes from `start` up to but not including `end`, as a stream."""
        headers = _wire.write_headers(None, None, None, if_match, None)
        if start is not None or end is not None:
            headers.append((b"Range", f"bytes={start or 0}-{'' if end is None else end - 1}".encode()))
        path = _wire.object_path(namespace, tenant or self.tenant, key)
        response = await self._call("GET", path, headers=headers, stream=True)
        try:
            yield AsyncDownload(response, progress)
        finally:
            await response.aclose()

    async def get(
        self,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """The bytes of an object, or of a range of it, in memory."""
        found = bytearray()
        async with self.open(
            namespace, key, tenant=tenant, start=start, end=end, if_match=if_match, progress=progress
        ) as download:
            async for chunk in download:
                found += chunk
        return bytes(found)

    async def download_file(
        self,
        namespace: str,
        key: str,
        path: str | os.PathLike[str],
        *,
        tenant: str | None = None,
        progress: Progress | None = None,
    ) -> Head:
        """Reads an object into a file, which appears once it is whole and verified. A broken connection is taken up
        where it broke, as long as the object is still the same."""
        target = os.fspath(path)
        partial = f"{target}.part"
        head: Head | None = None
        check = _wire.Verifier("", 0, {})
        done = 0
        attempt = 0
        try:
            with open(partial, "wb") as file:
                while True:
                    try:
                        begin = done if head is not None else None
                        tag = head.etag if head is not None else None
                        async with self.open(namespace, key, tenant=tenant, start=begin, if_match=tag) as download:
                            if begin is not None and download.is_whole:
                                raise IntegrityError("the server sent the whole object, not the rest that was asked for")
                            if head is None:
                                head = download.head
                                check = _wire.Verifier(head.content_hash, head.size, head.metadata)
                            async for chunk in download._response.aiter_raw(_wire.CHUNK_BYTES):
                                await _io.write(file, chunk)
                                check.update(chunk)
                                done += len(chunk)
                                attempt = 0
                                if progress is not None:
                                    progress(done, head.size)
                        break
                    except httpx.TransportError:
                        if head is None or attempt >= self._retries:
                            raise
                        if done == head.size:
                            break
                        await _io.sleep(_wire.pause(attempt, None))
                        attempt += 1
                file.flush()
                os.fsync(file.fileno())
            check.finish()
            os.replace(partial, target)
            return head
        except BaseException:
            if os.path.exists(partial):
                os.unlink(partial)
            raise

    async def head(self, namespace: str, key: str, *, tenant: str | None = None) -> Head:
        path = _wire.object_path(namespace, tenant or self.tenant, key)
        return read_head((await self._call("HEAD", path)).headers)

    async def exists(self, namespace: str, key: str, *, tenant: str | None = None) -> bool:
        try:
            await self.head(namespace, key, tenant=tenant)
        except NotFound:
            return False
        return True

    async def objects(
        self,
        namespace: str,
        prefix: str = "",
        *,
        tenant: str | None = None,
        delimiter: str | None = None,
        versions: bool = False,
        tags: Mapping[str, str] | None = None,
        page: int = 1000,
    ) -> AsyncIterator[Object | Prefix]:
        """Objects in the order of their keys, with all of these `tags`. `delimiter` rolls keys up into a `Prefix`, after
        the objects of a page; not together with `tags`."""
        query = _wire.listing(namespace, tenant or self.tenant, prefix, delimiter, versions, page, tags)
        while True:
            answer = (await self._call("GET", "/v1/objects", params=query)).json()
            for document in answer["objects"]:
                yield read_object(document)
            for name in answer["prefixes"]:
                yield Prefix(name)
            if answer["next_cursor"] is None:
                return
            query["cursor"] = answer["next_cursor"]

    async def namespaces(self, *, tenant: str | None = None) -> list[str]:
        """The namespaces in which the tenant keeps anything."""
        answer = await self._call("GET", "/v1/usage", params={"tenant": tenant or self.tenant})
        return sorted({space["namespace"] for space in answer.json()["spaces"]})

    # Change

    async def delete(
        self, namespace: str, key: str, *, tenant: str | None = None, if_match: str | None = None
    ) -> None:
        """Deletes a key; it is no error if there is none."""
        headers = _wire.write_headers(None, None, None, if_match, None)
        await self._call("DELETE", _wire.object_path(namespace, tenant or self.tenant, key), headers=headers)

    async def delete_version(self, id: str, *, tenant: str | None = None) -> None:
        """Deletes one version by its id."""
        await self._call("DELETE", f"/v1/objects/{id}", headers=tenant_header(tenant or self.tenant))

    async def delete_many(
        self, namespace: str, keys: Iterable[str], *, tenant: str | None = None
    ) -> list[Deletion]:
        """Deletes keys, a thousand in one request, and tells of each, in their order. After a lost answer, what was
        deleted by it is told as not found."""
        where = {"namespace": namespace, "tenant": tenant or self.tenant}
        found: list[Deletion] = []
        for portion in _wire.portions(keys):
            document = {**where, "keys": portion}
            answer = (await self._call("POST", "/v1/objects/delete", json=document)).json()
            found += [read_deletion(result) for result in answer["results"]]
        return found

    async def delete_versions(self, ids: Iterable[str], *, tenant: str | None = None) -> list[Deletion]:
        """The same of single versions, by their ids."""
        found: list[Deletion] = []
        for portion in _wire.portions(ids):
            answer = await self._call(
                "POST", "/v1/objects/delete", headers=tenant_header(tenant or self.tenant), json={"ids": portion}
            )
            found += [read_deletion(result) for result in answer.json()["results"]]
        return found

    async def delete_prefix(
        self, namespace: str, prefix: str, *, tenant: str | None = None, dry_run: bool = False
    ) -> PrefixDeletion:
        """Deletes every key that begins with `prefix`, in as many requests as it takes; `dry_run` only counts. With an
        empty prefix that is every key."""
        document: dict[str, Any] = {
            "namespace": namespace,
            "tenant": tenant or self.tenant,
            "prefix": prefix,
            "dry_run": dry_run,
        }
        whole = PrefixDeletion(0, 0, 0, [])
        while True:
            answer = (await self._call("POST", "/v1/objects/delete", json=document)).json()
            whole = whole.and_then(answer)
            if answer["next"] is None:
                return whole
            document["cursor"] = answer["next"]

    async def move(
        self,
        source: tuple[str, str],
        destination: tuple[str, str],
        *,
        tenant: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Object:
        """Renames (namespace, key) to (namespace, key) of one tenant in one step; no bytes move. `if_match` is about the
        source, `if_none_match` about the destination. A request whose answer is lost is not repeated."""
        ends = {"source": source, "destination": destination}
        document: dict[str, dict[str, str]] = {
            name: {"namespace": end[0], "tenant": tenant or self.tenant, "key": end[1]} for name, end in ends.items()
        }
        if if_match is not None:
            document["source"]["if_match"] = if_match
        headers = _wire.write_headers(None, None, None, None, if_none_match)
        answer = await self._call("POST", "/v1/objects/move", headers=headers, json=document, lost=True)
        return read_object(answer.json())

    async def tags(self, id: str, *, tenant: str | None = None) -> dict[str, str]:
        """The tags of a version."""
        answer = await self._call("GET", f"/v1/objects/{id}/tags", headers=tenant_header(tenant or self.tenant))
        return dict(answer.json()["tags"])

    async def set_tags(self, id: str, tags: Mapping[str, str], *, tenant: str | None = None) -> None:
        """Sets the tags of a version as a whole, at most 10; none removes all."""
        headers = tenant_header(tenant or self.tenant)
        await self._call("PUT", f"/v1/objects/{id}/tags", headers=headers, json={"tags": dict(tags)})

    async def copy(
        self,
        source: tuple[str, str],
        destination: tuple[str, str],
        *,
        tenant: str | None = None,
        if_none_match: str | None = None,
    ) -> Object:
        """Copies (namespace, key) to (namespace, key) of one tenant; no bytes move."""
        ends = {"source": source, "destination": destination}
        document = {
            name: {"namespace": end[0], "tenant": tenant or self.tenant, "key": end[1]} for name, end in ends.items()
        }
        headers = _wire.write_headers(None, None, None, None, if_none_match)
        return read_object((await self._call("POST", "/v1/objects/copy", headers=headers, json=document)).json())

    async def update(self, id: str, changes: Mapping[str, Any], *, tenant: str | None = None) -> Object:
        """Changes metadata, class or headers of a version in place: a JSON merge patch (RFC 7396)."""
        answer = await self._call(
            "PATCH", f"/v1/objects/{id}", headers=tenant_header(tenant or self.tenant), json=dict(changes)
        )
        return read_object(answer.json())

    async def presign(
        self,
        method: str,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        expires_in: int = 3600,
        content_type: str | None = None,
        size_max: int | None = None,
        if_none_match: bool = False,
    ) -> SignedUrl:
        """A URL with which everyone may GET, PUT or DELETE this key for so many seconds. A PUT can be bound to a content
        type, to a size, and to a key that is free."""
        document: dict[str, Any] = {
            "method": method,
            "namespace": namespace,
            "tenant": tenant or self.tenant,
            "key": key,
            "expires_in": expires_in,
        }
        bounds = {"content_type": content_type, "size_max": size_max, "if_none_match": if_none_match or None}
        document |= {name: bound for name, bound in bounds.items() if bound is not None}
        return read_signed((await self._call("POST", "/v1/presign", json=document)).json())


__all__ = ["ApiError", "AsyncDownload", "AsyncStore"]
