"""What is published: versions, types, and a synchronous client that follows the asynchronous one."""

from __future__ import annotations

import inspect
import pathlib
import re
import subprocess
import sys

import juststorage

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_the_version_is_the_programs() -> None:
    cargo = (ROOT.parent.parent / "Cargo.toml").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    version = re.compile(r'^version = "(.*)"$', re.M)
    found = {match.group(1) for text in (cargo, project) if (match := version.search(text))}
    assert found == {juststorage.__version__}


def test_the_synchronous_client_is_made_of_the_other() -> None:
    assert subprocess.run([sys.executable, ROOT / "tools/unasync.py", "--check"]).returncode == 0


def test_types_hold() -> None:
    checked = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert (ROOT / "src/juststorage/py.typed").exists()


def test_every_public_name_is_explained() -> None:
    public = [getattr(juststorage, name) for name in juststorage.__all__ if name != "Progress"]
    assert not [item.__name__ for item in public if not inspect.getdoc(item)]
