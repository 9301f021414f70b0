"""Addresses of parameter servers: host[:port], several separated by commas in rank order. No torch."""

from __future__ import annotations

import ipaddress

from garfield.settings import SettingError

DEFAULT_PORT = 29500

Address = tuple[str, int]


def split(master: str) -> list[Address]:
    """(host, port) of each `host[:port]`; an IPv6 address with a port stands in brackets. Raises SettingError."""
    return [_split_one(part.strip(), master) for part in master.split(",")]


def _split_one(text: str, master: str) -> Address:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, port = text.split(":")
    else:
        host, port = text, ""
    if not host or not (port or "0").isdecimal() or not 0 < int(port or DEFAULT_PORT) < 65536:
        raise SettingError(f"master = {master!r}: host or host:port is needed, as in 10.0.0.1:29500.")
    return host, int(port or DEFAULT_PORT)


def join(address: Address) -> str:
    """The text that `split` turns back into `address`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(master: str) -> bool:
    """Whether `master` has addresses of this host alone, so that all ranks must be here."""
    return all(map(_is_loopback, (host for host, _ in split(master))))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
