"""Checking hosts from the Cluster screen: results as they come, what mends them, keys that are not trusted."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from controller import checks, trusting
from controller.checks import Checked
from controller.findings import CheckFinding
from controller.hostkeys import ShownKey
from tests.fakecheck import INSTALL, FakeCheck
from tests.tuitools import HOSTS, Driven, driven

TWO = HOSTS.replace("[experiment]", '[[host]]\nname = "lab2"\nworkers = 2\n\n[experiment]', 1)


@pytest.fixture
def fake(monkeypatch) -> FakeCheck:
    made = FakeCheck()
    monkeypatch.setattr(checks, "check", made)
    return made


def row(tui: Driven, name: str) -> str:
    """The row of a host in the table."""
    return next(line for line in tui.picture().split("\n")[2:] if f" {name} " in line)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_results_show_as_they_come_and_the_command_is_copied(tmp_path, fake, size):
    async with driven(tmp_path, TWO, size=size) as tui:
        await tui.until(lambda: "○ not checked yet" in row(tui, "here"))
        await tui.press("P")
        await tui.until(lambda: "◌ checking" in row(tui, "here") and "◌ checking" in row(tui, "lab2"))
        fake.tell(tui.app, "here")
        await tui.until(lambda: "✓ ready" in row(tui, "here"))
        assert "◌ checking" in row(tui, "lab2")
        assert all(word in row(tui, "here") for word in ("2.13.0", "16", "1 A4000"))
        no_torch = CheckFinding("error", "torch", "lab2: its Python has no torch; install it with:", INSTALL)
        fake.tell(tui.app, "lab2", no_torch)
        fake.end()
        await tui.until(lambda: "✖ its Python has no torch" in row(tui, "lab2"))
        assert fake.asked == [["here", "lab2"]]
        await tui.press("down")
        await tui.until(lambda: "-m pip install torch==2.13.0" in " ".join(tui.text("#known").split()))
        await tui.press("y")
        assert tui.app.clipboard == INSTALL
        tui.app.copy_to_clipboard("")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Findings")
        await tui.until(lambda: "✓ python" in tui.picture())
        await tui.press("y")
        assert tui.app.clipboard == INSTALL
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")


async def test_a_result_is_of_the_host_as_it_was(tmp_path, fake):
    async with driven(tmp_path, TWO) as tui:
        await tui.press("P")
        fake.tell(tui.app, "here")
        fake.tell(tui.app, "lab2")
        fake.end()
        await tui.until(lambda: "✓ ready" in row(tui, "lab2"))
        await tui.press("down", "greater_than_sign")  # a worker more: the same machine
        assert "✓ ready" in row(tui, "lab2")
        tui.app.session.draft.file.set_host(1, "address", "10.0.0.7")
        tui.app.draft_changed()
        await tui.until(lambda: "○ not checked yet" in row(tui, "lab2"))


async def test_a_second_check_waits_for_the_first_and_off_hosts_are_left_out(tmp_path, fake):
    async with driven(tmp_path, TWO) as tui:
        await tui.press("down", "space", "P")
        await tui.until(lambda: fake.asked == [["here"]])
        await tui.press("P")
        await tui.until(lambda: any("waiting for here" in note.message for note in tui.app._notifications))
        assert fake.asked == [["here"]]
        fake.end()
        await tui.until(lambda: not tui.app.session.checks.waiting)


def shown(*instead: tuple[str, int]) -> ShownKey:
    return ShownKey("lab2", "ssh-ed25519", "SHA256:q9c", "ssh-ed25519 AAAA", "~/.ssh/known_hosts", instead)


async def test_an_unknown_key_is_trusted_only_by_an_explicit_act(tmp_path, fake, monkeypatch):
    stored: list[ShownKey] = []

    async def untrusted_key(host, prompter) -> ShownKey | None:
        return None if stored else shown()

    async def trust(host, key) -> None:
        stored.append(key)

    monkeypatch.setattr(trusting, "untrusted_key", untrusted_key)
    monkeypatch.setattr(trusting, "trust", trust)
    unknown = CheckFinding("error", "key unknown", "lab2: its key is not known.")
    async with driven(tmp_path, TWO, size=(80, 24)) as tui:
        for answer in ("enter", "y"):
            await tui.press("P")
            fake.tell(tui.app, "here")
            fake.tell(tui.app, "lab2", unknown, state="key unknown", facts={})
            fake.end()
            await tui.until(lambda: tui.screen_name == "Question" and tui.app.focused is not None)
            assert tui.app.focused.id == "answer-cancel"
            said = "".join(str(static.content) for static in tui.app.screen.query(Static))
            assert "SHA256:q9c" in said
            assert "ssh_host_ed25519_key.pub" in said
            assert not stored
            await tui.press(answer)
            await tui.until(lambda: tui.screen_name == "ClusterScreen")
        await tui.until(lambda: fake.asked[2:] == [["lab2"]])  # what was trusted is checked again
        assert [key.fingerprint for key in stored] == ["SHA256:q9c"]
        fake.tell(tui.app, "lab2")
        fake.end()
        await tui.until(lambda: "✓ ready" in row(tui, "lab2"))


async def test_a_changed_key_is_a_hard_stop(tmp_path, fake, monkeypatch):
    stored = []

    async def untrusted_key(host, prompter) -> ShownKey:
        return shown(("/home/ada/.ssh/known_hosts", 7))

    monkeypatch.setattr(trusting, "untrusted_key", untrusted_key)
    monkeypatch.setattr(trusting, "trust", stored.append)
    async with driven(tmp_path, TWO) as tui:
        await tui.press("down", "t")
        await tui.until(lambda: tui.screen_name == "Question")
        said = "".join(str(static.content) for static in tui.app.screen.query(Static))
        assert "line 7 of /home/ada/.ssh/known_hosts has another key" in said
        assert not tui.app.screen.query("#answer-trust")
        await tui.press("right", "enter")
        assert tui.app.clipboard == "ssh-keygen -f /home/ada/.ssh/known_hosts -R lab2"
        assert not stored


async def test_what_a_login_asks_during_a_check_is_typed_unseen(tmp_path, monkeypatch):
    answers = []

    async def asks(hosts, values, lease, *, prompter, heard) -> Checked:
        answers.append(await prompter("lab2", "one-time code:", False))
        return Checked([], ())

    monkeypatch.setattr(checks, "check", asks)
    async with driven(tmp_path, TWO) as tui:
        await tui.press("P")
        await tui.until(lambda: tui.screen_name == "Secret")
        await tui.write("424242")
        assert "424242" not in tui.picture()
        await tui.press("enter")
        await tui.until(lambda: answers == ["424242"])


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_launch_repeats_what_a_check_found(tmp_path, fake, size):
    async with driven(tmp_path, TWO, size=size) as tui:
        await tui.press("P")
        fake.tell(tui.app, "here")
        fake.tell(
            tui.app, "lab2", CheckFinding("error", "torch", "lab2: its Python has no torch; install it with:", "x")
        )
        fake.end()
        await tui.until(lambda: "✖ its Python has no torch" in row(tui, "lab2"))
        await tui.press("L")
        await tui.until(lambda: "✖ lab2: its Python has no torch; install it with: x" in tui.picture())
        assert "The last check found" in tui.picture()
        assert "✖ here" not in tui.picture()
        assert {"name", "note"} <= set(tui.picture().split())
        await tui.press("escape", "down", "space", "L")  # off, so that it is none of the run
        await tui.until(lambda: tui.screen_name == "Launching")
        assert "The last check found" not in tui.picture()
