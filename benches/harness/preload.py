"""TCP_NODELAY for servers that do not set it: a library that is loaded before their own."""

import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path(__file__).with_name("nodelay.c")


def possible() -> bool:
    """Whether there is a compiler."""
    return shutil.which("cc") is not None


def without_delay(directory: pathlib.Path) -> dict[str, str]:
    """The environment in which every connection that a program accepts has TCP_NODELAY."""
    library = directory / "nodelay.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True, capture_output=True)
    return {"LD_PRELOAD": str(library)}
