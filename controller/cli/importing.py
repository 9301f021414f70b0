"""python -m controller import: another program's list of hosts as a hosts file, with what was guessed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from controller.cli import interruptible
from controller.cli.asking import agrees, can_ask
from controller.cli.out import complain, say, say_json
from controller.cli.refused import Refused
from controller.draft import Draft
from controller.hostlists import HostListError, read_lists, to_hosts_file
from controller.hostsfile import HostsFile, HostsFileError

LARGEST = 4 << 20  # characters of a list


def main(options: argparse.Namespace) -> int:
    """Write the hosts file that the lists make; the exit code."""
    try:
        texts = [_read(word) for word in options.lists]
        found = read_lists(texts, options.ps)
        text = to_hosts_file(found, " and ".join(name for name, _ in texts))
        file = HostsFile(Path(options.output or "hosts.toml"), text, None)
        if file.problems:
            raise Refused("\n".join(problem.text for problem in file.problems))
        findings = [finding.text for finding in Draft(file).plan().findings]
        if options.output:
            _write(file, options.yes)
    except (HostListError, HostsFileError) as error:
        raise Refused(str(error)) from None
    if options.json:
        say_json({"text": text, "guesses": found.guesses, "findings": findings, "file": options.output})
    elif not options.output:
        say(text.rstrip("\n"))
    complain([f"guessed: {guess}" for guess in found.guesses])
    complain([f"before a launch: {finding}" for finding in findings])
    if options.output:
        complain(f"{options.output}: {len(file.hosts)} host{'' if len(file.hosts) == 1 else 's'}")
    return 0


def _read(word: str) -> tuple[str, str]:
    """The list that `word` names, with its name: a file, - for standard input, or the list itself. Raises Refused."""
    try:
        if word == "-":
            return "standard input", sys.stdin.read(LARGEST)
        if _is_list(word):
            return f"the list {word[:60]}", word
        with open(word, encoding="utf-8") as file:
            return word, file.read(LARGEST)
    except UnicodeDecodeError:
        raise Refused(f"{word} is no text, so it is no list of hosts.") from None
    except OSError as error:
        raise Refused(f"{word} can't be read ({error.strerror or error}); a list itself has a comma or [ ].") from None


def _is_list(word: str) -> bool:
    return not Path(word).exists() and "/" not in word and any(character in word for character in "[,")


def _write(file: HostsFile, yes: bool) -> None:
    """Raises Refused, HostsFileError."""
    if file.path.exists() and not yes:
        if not can_ask():
            raise Refused(f"{file.path} is there already; to write over it, add --yes.")
        if not interruptible.run(agrees(f"{file.path} is there already: write over it?")):
            raise Refused(f"{file.path} is as it was.")
    file.save(overwrite=True)
