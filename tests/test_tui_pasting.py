"""What is pasted is text, whatever is in it: in pieces, without an end, of megabytes; and in a real terminal."""

from __future__ import annotations

import sys

import pytest
from textual.events import Key, Paste

from controller.ui import pasted
from controller.ui.pasted import END, KEPT, QUIET, START, PasteParser
from tests.terminals import MISSING, Terminal

HOSTS = '[[host]]\nname = "here"\nconnection = "local"\nservers = 1\nworkers = 2\n'
EVIL = "ab\x1b[31mred\x07\x00\nline2\ttab\x7f\x1b[A\x1b\x1b[200~\x9b2J"
CLEAN = "ab[31mred\nline2 tab[A[200~2J"


def told(parser: PasteParser, *pieces: str) -> list[str]:
    """Keys, and what was pasted in quotes."""
    messages = [message for piece in pieces for message in parser.feed(piece)]
    assert all(isinstance(message, Key | Paste) for message in messages)
    return [repr(message.text) if isinstance(message, Paste) else message.key for message in messages]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 1000])
def test_a_paste_is_one_text_between_the_keys_around_it(length):
    sent = f"x{START}{EVIL}{END}\x1b[A{START}{END}{START}two\r\nlines\r{END}y"
    pieces = [sent[at : at + length] for at in range(0, len(sent), length)]
    assert told(PasteParser(), *pieces) == ["x", repr(CLEAN), "up", "''", repr("two\nlines\n"), "y"]


@pytest.mark.parametrize("more", range(-8, 9))
def test_of_a_long_paste_the_beginning_is_kept_and_its_end_is_still_seen(more):
    text = "z" * (KEPT + more)
    assert told(PasteParser(), START + text, END[:3], END[3:] + "y") == [repr(text[:KEPT]), "y"]


def test_a_paste_without_an_end_is_over_after_a_while(monkeypatch):
    now = 100.0
    monkeypatch.setattr(pasted.time, "monotonic", lambda: now)
    parser = PasteParser()
    assert told(parser, f"{START}lost") == []
    now += QUIET - 1
    assert list(parser.tick()) == []
    assert told(parser, "more") == []
    now += QUIET - 1
    assert list(parser.tick()) == []
    now += 2
    (paste,) = parser.tick()
    assert paste.text == "lostmore"
    assert told(parser, "y") == ["y"]


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_nothing_that_is_pasted_acts(tmp_path, size):
    (tmp_path / "hosts.toml").write_text(HOSTS)
    terminal = Terminal(tmp_path, [sys.executable, "-m", "tui", "hosts.toml"], size)
    try:
        terminal.shows("here", "1 Cluster")
        terminal.keys("L")
        terminal.shows("⏎ launches")
        terminal.keys("x", "y")
        terminal.paste(EVIL.encode())
        terminal.keys("z", "!")
        terminal.shows("xyab[31mredz!", "⏎ launches")
        terminal.keys("Tab")
        terminal.paste(b"b\x1b[200~\x1b[Aig\n" + b"line \x1b[31m 2\r" * 300_000)
        terminal.keys("z", "!")
        terminal.shows("xyab[31mredz!", "b[200~[Aigz!", "⏎ launches")
        terminal.keys("Escape")
        terminal.shows("1 Cluster")
        terminal.paste(b"5\rq")
        terminal.keys("2")
        terminal.shows("dataset")
        terminal.keys("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()
    assert not list((tmp_path / "home").rglob("*.jsonl")), "something was launched"
