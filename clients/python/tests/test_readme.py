"""The README's lines, as printed."""

from __future__ import annotations

import os
import pathlib
import re

import pytest
from conftest import Server

from juststorage import Store

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def test_the_lines_work_as_printed(server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    pathlib.Path("model.bin").write_bytes(os.urandom(20_000_000))
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace("http://127.0.0.1:8080", server.url), "README.md", "exec"), names)
    store = names["store"]
    assert isinstance(store, Store)
    store.close()
