"""What waits outside of HTTP. The synchronous twin is written by hand."""

from __future__ import annotations

import asyncio
from typing import BinaryIO


async def read(file: BinaryIO, size: int) -> bytes:
    """Reads in a thread, so that a slow disk does not stop other tasks."""
    return await asyncio.to_thread(file.read, size)


async def write(file: BinaryIO, data: bytes) -> None:
    await asyncio.to_thread(file.write, data)


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)
