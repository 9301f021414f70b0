"""A controller in a process of its own, as a person starts it, on machines of a lab.

As a program it is `python -m controller`, except that it ships the package in the folder that its first argument names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controller import cli, shipping
from controller.hosts import Host
from controller.runs import load_records
from tests.netlab import poll

ROOT = Path(__file__).resolve().parent.parent


class Controller:
    """A command of `python -m controller` on `hosts`, from its start until the end of the block, which kills it.

    `words` are the command and what it takes after the hosts file. `folder` is its own: what it records is there.
    `package` is shipped in place of garfield; None: garfield itself. `home` has the .ssh that it uses.
    """

    def __init__(
        self,
        folder: Path,
        home: Path,
        hosts: Sequence[Host],
        lease: str,
        package: Path | None = None,
        values: Mapping[str, Any] | None = None,
        words: Sequence[str] = ("run",),
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self._said, self._words = folder, folder / "said", words
        self.file = folder / "hosts.toml"
        self.file.write_text(_hosts_file(hosts, lease, values or {}))
        self._environment = {**os.environ, "HOME": str(home), "GARFIELD_HOME": str(folder / "own")}
        self._environment.pop("SSH_AUTH_SOCK", None)
        self._start = [sys.executable, "-m", "tests.controlling", str(package or "")]

    def __enter__(self) -> Controller:
        with open(self._said, "wb") as said:
            self.process = subprocess.Popen(
                [*self._start, self._words[0], str(self.file), *self._words[1:]],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=self._environment, cwd=ROOT,
                start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def command(self, *words: str, within: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Another command of a controller with the same folder and hosts."""
        return subprocess.run(
            [*self._start, *words], capture_output=True, text=True, env=self._environment, cwd=ROOT, timeout=within
        )

    @property
    def run(self) -> str:
        """The id of its run; empty before there is one."""
        return next((folder.name for folder in (self.folder / "own").glob("state/runs/*")), "")

    def records(self, **wanted: Any) -> list[dict[str, Any]]:
        """What it has recorded so far: the records whose fields are as given."""
        if not self.run:
            return []
        records = load_records(self.folder / "own" / "state" / "runs" / self.run)
        return [record for record in records if all(record.get(key) == value for key, value in wanted.items())]

    def states(self, host: str) -> list[str]:
        """The states that a host went through."""
        states = [record["state"] for record in self.records(kind="host", host=host)]
        return [state for place, state in enumerate(states) if states[place - 1 : place] != [state]]

    def said(self) -> str:
        """What it has printed so far."""
        return self._said.read_text()

    def until_all_step(self, ranks: int, beyond: int = 0, within: float = 60.0) -> None:
        """Wait until every rank has made a step, each a later one than its `beyond`."""

        def stepping() -> bool:
            assert self.process.poll() is None, f"the controller ended: {self.said()}"
            return len({record["rank"] for record in self.records(kind="step") if record["n"] > beyond}) == ranks

        poll(stepping, f"not every rank made a step: {self.said()}", within, every=0.1)

    def ended(self, within: float) -> int:
        """Its exit code once it has ended by itself."""
        return self.process.wait(within)


def _hosts_file(hosts: Sequence[Host], lease: str, values: Mapping[str, Any]) -> str:
    lines = ["[run]", f"lease = {json.dumps(lease)}", "[experiment]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    for host in hosts:
        lines += ["[[host]]"]
        for key in ("name", "address", "interface", "python", "data_dir", "servers", "workers"):
            value = getattr(host, key)
            lines += [] if value is None else [f"{key} = {json.dumps(value)}"]
        lines += [f"env = {{ {', '.join(f'{name} = {json.dumps(text)}' for name, text in host.env.items())} }}"]
    return "\n".join(lines) + "\n"


def _main(package: str, *words: str) -> int:
    if package:
        pack = shipping.pack
        shipping.pack = lambda *_: pack(Path(package))
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
