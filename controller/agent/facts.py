"""What a host says of itself when the controller connects."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import pwd
import socket
import struct
import sys

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

_GET_INTERFACE_ADDRESS = 0x8915


def gather() -> dict[str, Any]:
    """Facts of this host; sizes are bytes, addresses by interface."""
    memory = _memory()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": f"{os.uname().sysname} {os.uname().release}",
        "architecture": os.uname().machine,
        "hostname": os.uname().nodename,
        "user": user(),
        **place(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": memory.get("MemTotal", 0),
        "memory_available": memory.get("MemAvailable", 0),
        "addresses": addresses(),
        "reached_at": _ssh_connection()[2],
        "reached_from": _ssh_connection()[0],
    }


def place() -> dict[str, str]:
    """Which machine, since which boot, and which network of it: equal for two agents that share a loopback."""
    return {
        "machine": machine_id(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "network": _link("/proc/self/ns/net"),
    }


def oom_kills() -> int:
    """How many processes of this machine the kernel has killed for want of memory since it booted."""
    lines = _read("/proc/vmstat").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def user() -> str:
    """Name of the user this process runs as."""
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


def machine_id() -> str:
    """The same for every process of this machine, and for no other machine."""
    return _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id") or _read("/proc/sys/kernel/random/boot_id")


def addresses() -> dict[str, str]:
    """IPv4 address of every network interface that has one."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, _GET_INTERFACE_ADDRESS, struct.pack("256s", name.encode()[:15]))
                found[name] = socket.inet_ntoa(answer[20:24])
    return found


def address_of(interface: str | None) -> str:
    """The address of an interface, empty when none is meant. Raises OSError."""
    if not interface:
        return ""
    known = addresses()
    if interface not in known:
        raise OSError(errno.ENODEV, f"there is no interface {interface} with an address, only {', '.join(known)}")
    return known[interface]


def _ssh_connection() -> list[str]:
    """Address and port of the client of the SSH connection that we came over, and of the server; empty without one."""
    fields = os.environ.get("SSH_CONNECTION", "").split()
    return fields if len(fields) == 4 else [""] * 4


def route_address(towards: str) -> str:
    """Our own address on the way to the address `towards`; raises OSError when there is no route."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))  # sends nothing
        return probe.getsockname()[0]


def _memory() -> dict[str, int]:
    lines = _read("/proc/meminfo").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path) as file:
        return file.read().strip()
    return ""


def _link(path: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(path)
    return ""
