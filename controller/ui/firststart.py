"""A first hosts file made of lists that are there already."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from controller.hostsfile import HostsFile, HostsFileError
from controller.plainfile import read_plain
from controller.ui.screens.dialogs import Line, Message
from controller.ui.talks import ask

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

LARGEST = 4 << 20  # bytes of a list
WHICH = (
    "Paths of lists, with spaces between: files called servers and workers with a host a line, a node list of Slurm "
    "or OAR, or a hostfile of MPI."
)


async def import_lists(app: GarfieldApp) -> None:
    """Ask for lists of hosts, make the hosts file of them, go on with it; say what was guessed."""
    from controller.hostlists import read_lists, to_hosts_file

    typed = await ask(app, Line("Import lists of hosts", WHICH))
    if not typed or not typed.strip():
        return
    try:
        texts = [(word, _read(word)) for word in shlex.split(typed)]
        found = read_lists(texts)
        text = to_hosts_file(found, " and ".join(name for name, _ in texts))
        HostsFile(app.session.path, text, None).save()
    except (OSError, ValueError, HostsFileError) as error:
        reason = f"{error.filename}: {error.strerror}." if isinstance(error, OSError) else str(error)
        await ask(app, Message("Not imported", reason))
        return
    app.session.open()
    app.open_first_screen()
    if found.guesses:
        await ask(app, Message("What was guessed", "\n".join(found.guesses)))


def _read(word: str) -> str:
    """Raises OSError; ValueError where it is no text."""
    try:
        return read_plain(os.path.expanduser(word), LARGEST).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{word} is no text, so it is no list of hosts.") from None
