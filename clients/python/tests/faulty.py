"""Transports that fail on purpose, before or after the request reaches the server, or in the middle of an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx


class Faulty(httpx.BaseTransport):
    """`fault` sees each request with its number, from 1, and may answer or raise in place of the server."""

    def __init__(self, fault: Callable[[int, httpx.Request], httpx.Response | None]) -> None:
        self._fault = fault
        self._inner = httpx.HTTPTransport()
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._fault(len(self.requests), request)
        return answer if answer is not None else self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


class Lost(httpx.BaseTransport):
    """Sends the request, then loses the answer, where `loses` says so."""

    def __init__(self, loses: Callable[[int], bool]) -> None:
        self._loses = loses
        self._inner = httpx.HTTPTransport()
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        answer = self._inner.handle_request(request)
        if self._loses(self.count):
            answer.read()
            answer.close()
            raise httpx.ReadError("lost on purpose", request=request)
        return answer

    def close(self) -> None:
        self._inner.close()


class Torn(httpx.BaseTransport):
    """Changes the bytes of answers: `change` sees each chunk of the answer with that number."""

    def __init__(self, change: Callable[[int, Iterator[bytes]], Iterator[bytes]]) -> None:
        self._change = change
        self._inner = httpx.HTTPTransport()
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        answer = self._inner.handle_request(request)
        assert isinstance(answer.stream, httpx.SyncByteStream)
        stream = _Changed(self._change(self.count, iter(answer.stream)), answer.stream)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    def close(self) -> None:
        self._inner.close()


class _Changed(httpx.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes], inner: httpx.SyncByteStream) -> None:
        self._chunks = chunks
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._inner.close()
