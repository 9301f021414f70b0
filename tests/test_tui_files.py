"""Starting with a hosts file that is not there or not well."""

from __future__ import annotations

from tests.tuitools import HOSTS, driven


async def test_a_missing_file_is_offered_to_be_made(tmp_path):
    async with driven(tmp_path, None) as tui:
        assert "There is no hosts file" in tui.text("#problem-text")
        assert tui.app.focused.id == "make"
        await tui.press("L", "2")
        assert tui.screen_name == "ProblemScreen"
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert tui.app.session.plan.ok
        assert tui.path.exists()


async def test_a_file_that_is_no_toml_shows_its_line(tmp_path):
    async with driven(tmp_path, "[[host]]\nname = here\n") as tui:
        assert "line 2" in tui.text("#problem-text")
        assert "▸    2 │ name = here" in tui.text("#problem-text")
        tui.path.write_text(HOSTS)
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")


async def test_an_unknown_key_opens_with_its_line_and_refuses_the_launch(tmp_path):
    async with driven(tmp_path, HOSTS.replace("workers = 5", "workers = 5\ncolour = 1")) as tui:
        assert "colour" in tui.text("#plan-line")
        assert "line 8" in tui.text("#plan-line")
        await tui.press("L")
        assert tui.screen_name == "Message"
        assert not tui.runs


async def test_a_first_file_is_made_of_lists_that_are_there(tmp_path):
    (tmp_path / "servers").write_text("lab1\n")
    (tmp_path / "workers").write_text("lab2\nlab3\n")
    async with driven(tmp_path, None, size=(80, 24)) as tui:
        await tui.press("i")
        await tui.until(lambda: tui.screen_name == "Line")
        await tui.write(f"{tmp_path}/servers {tmp_path}/no-such-list")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "No such file or directory" in tui.picture())
        await tui.press("escape", "i")
        await tui.until(lambda: tui.screen_name == "Line")
        await tui.write(f"{tmp_path}/servers {tmp_path}/workers")
        await tui.press("enter")
        await tui.until(lambda: tui.app.session.draft is not None)
        hosts = tui.app.session.draft.file.hosts
        assert [(host.name, host.servers, host.workers) for host in hosts] == [
            ("lab1", 1, 0),
            ("lab2", 0, 1),
            ("lab3", 0, 1),
        ]
