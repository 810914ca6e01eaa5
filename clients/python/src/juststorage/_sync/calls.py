"""Made of `_async/calls.py` by `tools/unasync.py`: change that one."""

from __future__ import annotations

from collections.abc import Iterator, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from .. import _wire
from ..errors import from_answer
from . import _io

if TYPE_CHECKING:
    from typing_extensions import Self


class Calls:
    """Connections to a server, and the one way in which every call makes its requests."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tenant: str = "default",
        retries: int = 4,
        timeout: float = 60.0,
        verify: Any = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.tenant = tenant
        self._retries = retries
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers["Accept-Encoding"] = "identity"
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout, verify=verify, transport=transport
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(
        self,
        method: str,
        path: str,
        *,
        headers: list[tuple[bytes, bytes]] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
        once: bool = False,
        lost: bool = False,
        stream: bool = False,
    ) -> httpx.Response:
        """A good answer, after as many repetitions as it takes; anything else is raised. `body` makes a stream for each
        of them. A conditional request whose answer is lost is not repeated: its own effect could fail the condition;
        nor is one that says so (`lost`)."""
        conditional = lost or (any(name.startswith(b"If-") for name, _ in headers or []) and method != "GET")
        attempt = 0
        while True:
            request = self._http.build_request(
                method, path, headers=headers, params=params, json=json, content=body() if body else content
            )
            after: float | None = None
            try:
                response = self._http.send(request, stream=stream)
                if response.is_success:
                    return response
                error = from_answer(response.status_code, response.headers, response.read())
                response.close()
                if once or attempt >= self._retries or not error.is_temporary:
                    raise error
                after = error.retry_after
            except httpx.TransportError as failure:
                unknown = conditional and not isinstance(failure, httpx.ConnectError)
                if once or unknown or attempt >= self._retries:
                    raise
            _io.sleep(_wire.pause(attempt, after))
            attempt += 1


def tenant_header(tenant: str) -> list[tuple[bytes, bytes]]:
    return [(b"X-Tenant", tenant.encode())]
