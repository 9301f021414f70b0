"""What is sent to a host: the agent's sources, and the training code as a content-addressed archive."""

from __future__ import annotations

import base64
import functools
import json
import re
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import garfield
from controller import agent
from controller.agent.code import digest_of
from controller.agent.start import first_line

GARFIELD = Path(garfield.__file__).parent
PART = 40 << 10  # characters of the archive in one message
RUN_TIME = ("torch", "torchvision", "numpy", "scikit-learn")  # what ranks need besides our code


@dataclass(frozen=True)
class Archive:
    """The code that ranks run: its digest, and base64 of compressed JSON {path: text}."""

    digest: str
    text: str

    def parts(self) -> Iterator[tuple[str, bool]]:
        """Pieces that fit into a message, each with whether it is the last."""
        for start in range(0, len(self.text), PART):
            yield self.text[start : start + PART], start + PART >= len(self.text)


def pack(package: Path = GARFIELD) -> Archive:
    """The Python files of a package folder, under its name."""
    files = {
        f"{package.name}/{path.relative_to(package).as_posix()}": path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    raw = zlib.compress(json.dumps(files, sort_keys=True).encode())
    return Archive(digest_of(files), base64.b64encode(raw).decode())


def bootstrap(nonce: str, mode: str) -> bytes:
    """What to send first to the constant program on a host; `mode` is the module of `controller.agent` to run."""
    source, blob = _agent_sources()
    return first_line(source, nonce, mode, len(blob)) + blob


@functools.cache
def _agent_sources() -> tuple[str, bytes]:
    folder = Path(agent.__file__).parent
    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    return sources["bootstrap"], zlib.compress(json.dumps(sources).encode())


def requirements() -> list[str]:
    """What pip has to install where ranks run, as pinned by this project: torch==…, and so on."""
    project = GARFIELD.parent / "pyproject.toml"
    if project.is_file():
        wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        try:
            wanted = metadata.requires("garfield") or []
        except metadata.PackageNotFoundError:
            wanted = []
    found = {re.split(r"[^\w-]", line, maxsplit=1)[0]: line.partition(";")[0].strip() for line in wanted}
    return [found.get(name, name) for name in RUN_TIME]
