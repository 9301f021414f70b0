"""What a check finds out about a host without starting anything that stays: packages, GPUs, space, means of killing."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import facts
from .cgroup import Cgroup

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

PACKAGES_WITHIN = 15.0  # seconds; a cold network file system takes some
GPUS_WITHIN = 8.0  # seconds; nvidia-smi wakes sleeping GPUs
LOGIND = ("/etc/systemd/logind.conf", "/etc/systemd/logind.conf.d", "/run/systemd/logind.conf.d")

# Versions by the packages' own records: importing torch would take seconds. The same flags as the warm process has.
_PACKAGES = """
import importlib.metadata, importlib.util, json, sys
found = {}
for module, package in json.loads(sys.argv[1]).items():
    try:
        if importlib.util.find_spec(module):
            found[package] = ""
            found[package] = importlib.metadata.version(package)
    except Exception:  # records that are broken in whatever way: it is there, in no version that could be told
        pass
print(json.dumps(found))
"""
_QUERY = ("--query-gpu=index,uuid,name,memory.total,memory.used", "--query-compute-apps=gpu_uuid,pid,used_memory")


class Child:
    """A program that is asked one thing; killed when it doesn't answer in time."""

    def __init__(self, *words: str) -> None:
        self._process = None
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def answer(self, seconds: float) -> str | None:
        """What it printed, None when it failed or is not there."""
        if self._process is None:
            return None
        try:
            text = self._process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return None
        return text.decode(errors="replace") if self._process.returncode == 0 else None


def ask_packages(wanted: Mapping[str, str]) -> Child:
    """Ask this Python, with its site packages, for the versions of packages by the names of their modules."""
    return Child(sys.executable, "-P", "-c", _PACKAGES, json.dumps(dict(wanted)))


def packages(child: Child) -> dict[str, str] | None:
    """Version by package, empty where it is not told; None when Python didn't answer."""
    answer = child.answer(PACKAGES_WITHIN)
    return None if answer is None else json.loads(answer.strip().splitlines()[-1])


def ask_gpus() -> list[Child]:
    """Ask for the GPUs, and for what uses them."""
    return [Child("nvidia-smi", query, "--format=csv,noheader,nounits") for query in _QUERY]


def gpus(children: Iterable[Child]) -> list[dict[str, Any]]:
    """The GPUs: index, name, memory and used memory in bytes, and who holds it as "3.1 GB by python (42) of alice"."""
    listed, held = [child.answer(GPUS_WITHIN) or "" for child in children]
    found = {}
    for index, uuid, name, total, used in _rows(listed, 5):
        with contextlib.suppress(ValueError):
            found[uuid] = {
                "index": int(index), "name": name, "memory": int(total) << 20, "used": int(used) << 20, "held": [],
            }  # fmt: skip
    for uuid, pid, used in _rows(held, 3):
        if uuid in found and pid.isdigit():
            amount = f"{int(used) / 1024:.1f} GB by " if used.isdigit() else ""
            found[uuid]["held"].append(f"{amount}{_who(int(pid))}")
    return sorted(found.values(), key=lambda gpu: gpu["index"])


def _rows(text: str, columns: int) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return [row for row in rows if len(row) == columns][:64]


def _who(pid: int) -> str:
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().strip()
    except OSError:
        return f"process {pid}"
    with contextlib.suppress(KeyError):
        return f"{name} ({pid}) of {pwd.getpwuid(owner).pw_name}"
    return f"{name} ({pid}) of user {owner}"


def free_space(path: str) -> int:
    """Bytes that this user can write in the file system of `path`, or of the nearest folder above it that exists."""
    folder = Path(path).expanduser().absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with contextlib.suppress(OSError):
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize
    return 0


def missing_files(folder: str, files: Iterable[str]) -> list[str]:
    """Those of `files` that are not below `folder`."""
    root = Path(folder).expanduser()
    return [file for file in files if not (root / file).is_file()]


def private_cgroup() -> bool:
    """Whether a cgroup of our own can be made here, whose kill ends all that is in it at once."""
    group = Cgroup.make()
    if group:
        group.remove()
    return group is not None


def ends_at_logout(user: str, files: Iterable[str] = LOGIND) -> bool:
    """Whether logind ends this user's processes when the last session closes, and a detached run with them."""
    told = {"KillUserProcesses": "no", "KillExcludeUsers": "root"}
    for path in (part for file in files for part in _parts(Path(file))):
        with contextlib.suppress(OSError):
            for line in path.read_text(errors="replace").splitlines():
                key, equals, value = line.partition("=")
                if equals and key.strip() in told:
                    told[key.strip()] = value.strip()
    wanted = told["KillUserProcesses"].lower() in ("yes", "true", "on", "1")
    return wanted and user not in told["KillExcludeUsers"].split() and os.path.isdir("/run/systemd/system")


def _parts(path: Path) -> list[Path]:
    return sorted(path.glob("*.conf")) if path.is_dir() else [path]


def examine(message: Mapping[str, Any]) -> dict[str, Any]:
    """All that a check wants to know of this host: the facts, and what `message` asks for."""
    versions, cards = ask_packages(message["packages"]), ask_gpus()
    known = facts.gather()
    return {
        **known,
        "disk": free_space("~"),
        "data_missing": missing_files(message["data_dir"], message["data"]),
        "data_disk": free_space(message["data_dir"]),
        "cgroup": private_cgroup(),
        "ends_at_logout": ends_at_logout(known["user"]),
        "packages": packages(versions),
        "gpus": gpus(cards),
    }
