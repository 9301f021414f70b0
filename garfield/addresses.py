"""Addresses of parameter servers: host[:port]. No torch."""

from __future__ import annotations

import ipaddress

from garfield.settings import SettingError

DEFAULT_PORT = 29500


def split(master: str) -> tuple[str, int]:
    """(host, port) of `host[:port]`; an IPv6 address with a port stands in brackets. Raises SettingError."""
    if master.startswith("["):
        host, _, rest = master[1:].partition("]")
        port = rest.removeprefix(":")
    elif master.count(":") == 1:
        host, port = master.split(":")
    else:
        host, port = master, ""
    if not host or not (port or "0").isdecimal() or not 0 < int(port or DEFAULT_PORT) < 65536:
        raise SettingError(f"master = {master!r}: host or host:port is needed, as in 10.0.0.1:29500.")
    return host, int(port or DEFAULT_PORT)


def is_loopback(master: str) -> bool:
    """Whether `master` is an address of this host alone, so that all ranks must be here."""
    host = split(master)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
