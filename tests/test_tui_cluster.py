"""The Cluster screen by keys: hosts are added, edited, moved, and saved with the file's comments kept."""

from __future__ import annotations

import pytest

from controller.ui import hostfacts
from controller.ui.widgets import hosttable
from controller.ui.widgets.field import Field
from controller.ui.widgets.hosttable import HostTable
from tests.simulated import simulate
from tests.tuitools import HOSTS, driven


async def test_counts_are_edited_by_keys_and_saved_with_comments_kept(tmp_path):
    async with driven(tmp_path) as tui:
        assert "quorum 5 ≥ 2·1+3" in tui.text("#plan-line")
        await tui.press("greater_than_sign", "greater_than_sign", "less_than_sign")
        assert tui.app.session.draft.file.hosts[0].workers == 6
        assert "quorum 6 ≥ 2·1+3" in tui.text("#plan-line")
        await tui.until(lambda: "• unsaved" in tui.picture())
        await tui.press("ctrl+s")
        await tui.until(lambda: not tui.app.unsaved)
        assert "• unsaved" not in tui.picture()
    assert (tmp_path / "hosts.toml").read_text() == HOSTS.replace("workers = 5", "workers = 6")


async def test_a_host_is_added_by_the_form_which_checks_as_one_types(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await tui.write("lab1")
        port = tui.app.screen.query_one("#field-port", Field)
        port.enter()
        await tui.write("70000")
        assert "1 to 65535" in port.complaint
        await tui.press("ctrl+s")
        assert tui.screen_name == "HostForm"  # it stays until that is mended
        await tui.press(*["backspace"] * 5)
        await tui.write("2222")
        assert port.complaint is None
        await tui.press("ctrl+s")
        here, lab1 = tui.app.session.draft.file.hosts
        assert (lab1.name, lab1.connection, lab1.port, lab1.workers) == ("lab1", "ssh", 2222, 1)
        await tui.until(lambda: "lab1" in tui.picture())
        assert here.name == "here"


async def test_a_second_host_of_the_same_name_is_refused(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await tui.write("here")
        assert "called here already" in tui.app.screen.query_one("#field-name", Field).complaint


async def test_a_name_that_is_no_address_asks_for_one(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await tui.write("lab 1")
        await tui.press("ctrl+s")
        assert "Without an address" in tui.app.screen.query_one("#field-name", Field).complaint
        tui.app.screen.query_one("#field-address", Field).enter()
        await tui.write("lab1.example")
        await tui.press("ctrl+s")
        assert tui.screen_name == "ClusterScreen"
        assert [host.name for host in tui.app.session.draft.file.hosts] == ["here", "lab 1"]


async def test_editing_a_host_changes_only_what_was_typed(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("e")
        tui.app.screen.query_one("#field-data_dir", Field).enter()
        assert "data_dir      edited" not in tui.picture()
        await tui.write("~/data")
        await tui.until(lambda: "data_dir      edited      ~/data" in tui.picture())
        await tui.press("ctrl+s")
        assert tui.app.session.draft.file.text() == HOSTS.replace("workers = 5\n", 'workers = 5\ndata_dir = "~/data"\n')
        await tui.press("e", "escape")
        assert tui.screen_name == "ClusterScreen"


async def test_hosts_are_copied_moved_switched_off_removed_and_brought_back(tmp_path):
    async with driven(tmp_path) as tui:
        hosts = lambda: [(host.name, host.enabled) for host in tui.app.session.draft.file.hosts]  # noqa: E731
        await tui.press("d")
        assert hosts() == [("here", True), ("here-2", True)]
        await tui.press("left_square_bracket")
        assert hosts() == [("here-2", True), ("here", True)]
        await tui.press("space")
        assert hosts() == [("here-2", False), ("here", True)]
        await tui.press("delete")
        assert hosts() == [("here", True)]
        await tui.press("u", "u", "u", "u")
        assert tui.app.session.draft.file.text() == HOSTS
        assert [notice.message for notice in tui.app._notifications][-4:] == [
            "Undone: here-2 is back.",
            "Undone: here-2 is switched on again.",
            "Undone: the hosts are in the order before.",
            "Undone: here-2 is gone again.",
        ]


@pytest.mark.parametrize(("answer", "saved"), [("cancel", False), ("overwrite", True)])
async def test_a_file_changed_meanwhile_is_not_overwritten_unasked(tmp_path, answer, saved):
    async with driven(tmp_path) as tui:
        await tui.press("plus")
        tui.path.write_text(HOSTS + "# theirs\n")
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        await tui.pilot.click(f"#answer-{answer}")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert ("# theirs" in tui.path.read_text()) is not saved
        assert tui.app.unsaved is not saved


async def test_a_file_changed_meanwhile_can_be_read_anew(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("plus")
        tui.path.write_text(HOSTS.replace("workers = 5", "workers = 7"))
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.pilot.click("#answer-reload")
        await tui.until(lambda: tui.app.session.draft.file.hosts[0].workers == 7)
        assert not tui.app.unsaved


async def test_a_host_of_a_run_tells_what_people_want_to_know_as_a_check_does(tmp_path):
    facts = {
        "python": "3.12.3",
        "torch": "2.13.0",
        "platform": "Linux 6.1.0",
        "architecture": "x86_64",
        "user": "[b]ada[/b]",
        "cores": 8,
        "memory": 34359738368,
        "memory_available": 24210636800,
        "disk": "much",
        "gpus": "[{'name': 'A4000'}]",
        "packages": "none",
        "addresses": "{'lo': '127.0.0.1'}",
        "import_seconds": 1.1911199099995429,
        "boot": "099e1636",
        "network": "net:[4026531833]",
        "reached_at": "",
        "at": 1795400643.437,
        "agent": 15962,
    }
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed([*simulate(until=3, outcome=False), {"kind": "facts", "host": "here", "facts": facts}])
        await tui.press("1")
        assert [line.split() for line in tui.text("#known").split("\n")] == [
            ["ranks", "PS", "0,", "workers", "1–5;", "rank", "1", "will", "attack"],
            ["●", "running"],
            ["python", "3.12.3,", "torch", "2.13.0,", "torchvision", "0.28.0"],
            ["machine", "8", "cores,", "24/34", "GB", "free"],
            ["system", "Linux", "6.1.0", "x86_64"],
            ["user", "[b]ada[/b]"],
        ]


LAB = "".join(f'[[host]]\nname = "{{}}{number}"\nworkers = 1\nservers = 1\n' for number in range(3))
SIZES = [(80, 24), (120, 40)]


def under_the_cursor(tui):
    return tui.app.session.draft.file.hosts[tui.app.screen.query_one(HostTable).cursor_row].name


@pytest.mark.parametrize("size", SIZES)
async def test_an_undo_puts_the_cursor_on_the_host_that_came_back(tmp_path, size):
    async with driven(tmp_path, LAB.replace("{}", "lab"), size=size) as tui:
        await tui.press("down", "delete")
        assert under_the_cursor(tui) == "lab2"
        await tui.press("up", "u")
        assert under_the_cursor(tui) == "lab1"
        await tui.until(lambda: "lab1: what is known" in tui.picture())


async def test_the_cursor_stays_on_its_host_when_others_come_and_go_on_disk(tmp_path):
    text = LAB.replace("{}", "lab")
    async with driven(tmp_path, text) as tui:
        await tui.press("down")
        tui.path.write_text('[[host]]\nname = "new"\nworkers = 1\n' + text)
        await tui.app.on_disk.look()
        assert under_the_cursor(tui) == "lab1"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["gpunode-with-a-very-long-name-", "名前" * 12])
@pytest.mark.parametrize("count", [1, 3])
async def test_every_host_is_in_sight_however_wide_the_table_would_be(tmp_path, monkeypatch, size, name, count):
    monkeypatch.setattr(hostfacts, "state", lambda *_: ("✖", "no python 3.10 or newer was found on this host"))
    monkeypatch.setattr(hostfacts, "cards", lambda *_: "8 × NVIDIA H100 80GB HBM3")
    text = "[[host]]".join(LAB.replace("{}", name).split("[[host]]")[: count + 1])
    text = text.replace("workers", 'address = "gpunode.some.far.away.example.org"\nworkers')
    async with driven(tmp_path, text, size=size) as tui:
        table = tui.app.screen.query_one(HostTable)
        await tui.until(lambda: table.scrollable_content_region.height == count + 1)
        assert not table.show_horizontal_scrollbar
        await tui.until(lambda: tui.picture().count("✖ no python") == count)
        monkeypatch.setattr(hosttable, "LEAST", {})  # as if no column could be cut
        tui.app.screen.draft_changed()
        await tui.until(lambda: table.show_horizontal_scrollbar)
        await tui.until(lambda: table.scrollable_content_region.height == count + 1)
