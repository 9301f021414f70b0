"""A lab of machines on one Linux: each has a network, processes, a name and an OpenSSH server of its own.

Needs root. Every machine is a set of namespaces whose first process is its SSH server: when that is killed the kernel
ends everything on the machine, and it is killed when we end, however that comes about. What alone outlives a killed
test is the bridge between the machines; the next lab removes it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from controller.hosts import Host
from tests import sshd

os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

PORT = 22
WITHIN = 10.0  # seconds that anything here may take
TOOLS = ("ip", "nft", "nsenter", "setpriv", "ss", "unshare")
NAMESPACES = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Same path as on every machine, but a folder of its own: agents keep their sockets there.
SOCKETS = Path(f"/tmp/garfield-{os.getuid()}")

# What a machine does first, as its process 1. Its name is that of 127.0.1.1, as Debian has it.
BOOT = """
set -e
ip link set lo up
hostname "$NAME" 2>/dev/null || echo "$NAME" >/proc/sys/kernel/hostname
mount --bind "$FOLDER/hosts" /etc/hosts
mount --bind "$FOLDER/machine-id" /etc/machine-id
mount --bind "$FOLDER/sockets" "$SOCKETS"
read go
exec "$SSHD" -D -e -f "$FOLDER/sshd_config" </dev/null
"""
# Resets the connections there are, both ends of them, and refuses new ones, as long as it is loaded.
RESET = f"""
table inet lab {{
    chain input {{
        type filter hook input priority 0
        tcp dport {PORT} tcp flags & rst == 0 reject with tcp reset
    }}
    chain output {{
        type filter hook output priority 0
        tcp sport {PORT} tcp flags & rst == 0 reject with tcp reset
    }}
}}
"""


@functools.cache
def why_not() -> str | None:
    """Why there can be no lab here; None: there can."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "a lab of network namespaces needs root on Linux"
    if sshd.MISSING:
        return sshd.MISSING
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"no {missing[0]} here (install iproute2, nftables, util-linux)"
    try:
        bridge = f"gl{os.getpid()}-9"
        _call("ip", "link", "add", bridge, "type", "bridge")
        _call("ip", "link", "delete", bridge)
        _call("unshare", *NAMESPACES, "nft", "-f", "-", text=RESET)
    except (OSError, RuntimeError) as error:
        return f"no lab of network namespaces is permitted here: {error}"
    return None


class Machine:
    """One machine of the lab, seen from outside. `folder` holds what it alone uses, `home` of it what agents keep."""

    def __init__(self, lab: Lab, number: int) -> None:
        self.name = f"lab{number}"
        self.address = f"{lab.network}.{10 + number}"
        self.folder = lab.folder / self.name
        self.pid = 0  # its process 1
        self._lab, self._link = lab, f"{lab.bridge}-{number}"
        self._card = f"02:00:00:00:00:{10 + number:02x}"  # the same after a reboot, as neighbours remember it
        self._started: subprocess.Popen[bytes] | None = None
        for part in ("home", "sockets"):
            (self.folder / part).mkdir(mode=0o700, parents=True)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        (self.folder / "machine-id").write_text(uuid.uuid4().hex + "\n")
        login, env = lab.home / ".ssh" / "id_ed25519", {"GARFIELD_HOME": str(self.folder / "home")}
        sshd.prepare(self.folder, login, self.address, PORT, env)
        with open(lab.home / ".ssh" / "known_hosts", "a") as known:
            known.write(f"{self.address} {(self.folder / 'host_key.pub').read_text()}")

    def host(self, servers: int = 0, workers: int = 0, **env: str) -> Host:
        """It as a hosts file would have it."""
        python = sys.executable
        return Host(self.name, address=self.address, python=python, servers=servers, workers=workers, env=env)

    def boot(self) -> None:
        """Start it; returns when its SSH server answers."""
        variables = {"NAME": self.name, "FOLDER": str(self.folder), "SOCKETS": str(SOCKETS), "SSHD": str(sshd.SSHD)}
        # Our death ends unshare, and its death the machine.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "sh", "-c", BOOT]
        with open(self.folder / "log", "ab") as log:
            self._started = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **variables}
            )
        self.pid = poll(self._first_process, f"{self.name} does not start")
        peer = ["peer", "name", "eth0", "address", self._card, "netns", str(self.pid)]
        _call("ip", "link", "add", self._link, "type", "veth", *peer)
        _call("ip", "link", "set", self._link, "master", self._lab.bridge, "up")
        self.call("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.call("ip", "link", "set", "eth0", "up")
        self._started.stdin.write(b"go\n")
        self._started.stdin.close()
        sshd.wait_for(self.address, PORT, self._started, self.folder / "log")

    def power_off(self) -> None:
        """Everything on it ends at once, and nobody is told."""
        if self._started is None:
            return
        _call("ip", "link", "delete", self._link, check=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid or self._started.pid, signal.SIGKILL)
        self._started.wait(WITHIN)  # it ends once it has reaped process 1, which outlives all others on the machine
        self._started, self.pid = None, 0

    def link_down(self) -> None:
        """Pull the cable: packets vanish, connections stay as they are."""
        _call("ip", "link", "set", self._link, "down")

    def link_up(self) -> None:
        _call("ip", "link", "set", self._link, "up")

    def reset_connections(self) -> None:
        """Let a firewall reset every SSH connection to it; those after that get through."""
        self.call("nft", "-f", "-", text=RESET)
        try:
            here = ["ss", "-Htn", "state", "established", f"dst {self.address} and dport = :{PORT}"]
            there = ["ss", "-Htn", "state", "established", f"sport = :{PORT}"]
            poll(lambda: not _call(*here) + self.call(*there), "connections live on behind a firewall")
        finally:
            self.call("nft", "delete", "table", "inet", "lab")

    def unsent(self) -> int:
        """Bytes that SSH clients here have sent and it has not acknowledged yet."""
        told = _call("ss", "-Htn", "state", "established", f"dst {self.address} and dport = :{PORT}")
        return sum(int(line.split()[1]) for line in told.splitlines())

    def freeze(self) -> None:
        """Stop everything on it but its kernel, which goes on to acknowledge packets."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def processes(self) -> dict[int, str]:
        """Every living process on it that is not of its SSH server: pid, as seen from here, and name."""
        found = {}
        for pid in self._inhabitants():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe") != os.path.realpath(str(sshd.SSHD)):
                    found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
        return found

    def sessions(self) -> list[int]:
        """The processes of its SSH server that carry a connection."""
        ours = self.processes()
        return [pid for pid in self._inhabitants() if pid != self.pid and pid not in ours]

    def call(self, *command: str, text: str | None = None) -> str:
        """What a command says that is run in its network."""
        return _call("nsenter", "-t", str(self.pid), "-n", *command, text=text)

    def _signal(self, number: int) -> None:
        for pid in self._inhabitants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _inhabitants(self) -> list[int]:
        """Every process on it, told by its namespace: whatever it calls itself, whoever is its parent."""
        found = []
        with contextlib.suppress(OSError):
            here = os.readlink(f"/proc/{self.pid}/ns/pid")
            for entry in os.listdir("/proc"):
                with contextlib.suppress(OSError):
                    if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == here:
                        found.append(int(entry))
        return found

    def _first_process(self) -> int:
        assert self._started.poll() is None, (self.folder / "log").read_text()
        children = Path(f"/proc/{self._started.pid}/task/{self._started.pid}/children").read_text().split()
        return int(children[0]) if children else 0


class Lab:
    """Machines on a bridge; set HOME to `home` to log in to them."""

    _count = itertools.count()

    def __init__(self, folder: Path, machines: int) -> None:
        self.folder, self.home = folder, folder / "client"
        self.bridge = f"gl{os.getpid()}-{next(self._count)}"
        self.network = _free_network()
        self.machines = [Machine(self, number) for number in range(1, machines + 1)]

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh" / "known_hosts"


@contextlib.contextmanager
def lab(folder: Path, machines: int) -> Iterator[Lab]:
    """A lab until the block ends."""
    _remove_stale_bridges()
    SOCKETS.mkdir(mode=0o700, exist_ok=True)  # what the machines' own are mounted on
    made = Lab(folder, machines)
    with contextlib.ExitStack() as undo:
        _call("ip", "link", "add", made.bridge, "type", "bridge")
        undo.callback(_call, "ip", "link", "delete", made.bridge)
        _call("ip", "address", "add", f"{made.network}.1/24", "dev", made.bridge)
        _call("ip", "link", "set", made.bridge, "up")
        for machine in made.machines:
            undo.callback(machine.power_off)
            machine.boot()
        yield made


def poll(condition: Callable[[], Any], text: str, within: float = WITHIN, every: float = 0.02) -> Any:
    """What `condition` returns as soon as that is true; fails with `text` after `within` seconds."""
    give_up = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{text} (waited {within:.1f} s)"
        time.sleep(every)
    return found


def _free_network() -> str:
    """The first three bytes of a /24 that no interface here is in."""
    taken = _call("ip", "-4", "-o", "address")
    start = os.getpid()
    for number in range(start, start + 16384):
        network = f"10.{64 + number // 256 % 64}.{number % 256}"
        if f" {network}." not in taken:
            return network
    raise RuntimeError("every network of 10.64.0.0/10 is taken")


def _remove_stale_bridges() -> None:
    for name, pid in re.findall(r"^\d+: (gl(\d+)-\d+):", _call("ip", "-o", "link", "show", "type", "bridge"), re.M):
        if not Path("/proc", pid).exists():
            _call("ip", "link", "delete", name, check=False)


def _call(*command: str, text: str | None = None, check: bool = True) -> str:
    told = subprocess.run(command, input=text, capture_output=True, text=True, timeout=WITHIN)
    if check and told.returncode:
        raise RuntimeError(f"{' '.join(command)}: {told.stderr.strip()}")
    return told.stdout
