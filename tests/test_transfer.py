"""Fetching and choosing a model where hosts do what they want: sessions here are made up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller import bringing, messages, transfer
from controller.agent.keeping import PIECE, Keeping
from controller.agent.loop import Loop
from controller.bringing import Bringing
from controller.connection import HostError
from controller.hosts import Host
from controller.plan import Plan, make_plan
from garfield import checkpointfile
from tests.test_checkpoint_files import written

Answer = dict[str, Any]


class Session:
    """A host whose agent is `keeping`; `twist` changes its answers, or never lets them come (None)."""

    def __init__(self, keeping: Keeping, twist: Callable[[Answer], Answer | None] = lambda answer: answer) -> None:
        self.keeping, self.twist = keeping, twist
        self.sent: list[Answer] = []
        self.under_way = self.most = 0
        self.holds = True
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, message: Any, kind: str, key: Any = None, seconds: float = 20) -> Answer:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        answer = self.twist(self.keeping.answer(message))
        if answer is None:
            raise HostError(Host("lab"), f"no answer within {seconds:.0f} s")
        parsed = messages.parse(json.dumps(answer).encode())
        assert (parsed["type"], parsed["id"]) == (kind, key)
        return parsed

    def send(self, message: Answer) -> None:
        self.sent.append(message)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeping:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    made = Keeping(Loop(), "a-run", lambda: [0, 1, 2])
    made.folder.mkdir(parents=True)
    return made


CONTENT = os.urandom(30 * PIECE + 7)


async def fetch(kept: Keeping, to: Path, twist: Callable[[Answer], Answer | None], size: int = len(CONTENT)) -> None:
    (kept.folder / "ps0-final.pt").write_bytes(CONTENT)
    await transfer.fetch(Session(kept, twist), "ps0-final.pt", size, to, lambda _: None)


async def test_a_file_of_any_size_comes_whole_a_few_pieces_at_a_time(kept: Keeping, tmp_path: Path) -> None:
    for size in (1, PIECE - 1, PIECE, PIECE + 1, len(CONTENT)):
        (kept.folder / "ps0-final.pt").write_bytes(CONTENT[:size])
        session = Session(kept)
        await transfer.fetch(session, "ps0-final.pt", size, tmp_path / "got", lambda _: None)
        assert (tmp_path / "got").read_bytes() == CONTENT[:size]
        assert session.most == min(transfer.WINDOW, -(-size // PIECE))


def stored(kept: Keeping) -> bytes:
    return Path(kept.place({"rank": 0, "role": "ps", "values": {}})["values"]["resume"]).read_bytes()


async def test_a_file_goes_to_a_host_whole(kept: Keeping, tmp_path: Path) -> None:
    for size in (1, PIECE, len(CONTENT)):
        path = tmp_path / "model.pt"
        path.write_bytes(CONTENT[:size])
        await transfer.put(Session(kept), path, hashlib.sha256(CONTENT[:size]).hexdigest(), lambda _: None)
        assert stored(kept) == CONTENT[:size]
    with pytest.raises(transfer.TransferError, match="not what its digest says"):
        await transfer.put(Session(kept), path, "0" * 64, lambda _: None)


@pytest.mark.parametrize(
    "twist",
    [
        lambda answer: {**answer, "size": 10**12},
        lambda answer: {**answer, "offset": answer["offset"] + 1},
        lambda answer: {**answer, "data": ""},
        lambda answer: {**answer, "data": base64.b64encode(bytes(PIECE + 3)).decode()},
        lambda answer: {key: value for key, value in answer.items() if key != "data"},
    ],
)
async def test_pieces_that_are_not_the_files_end_it(kept: Keeping, tmp_path: Path, twist: Any) -> None:
    with pytest.raises(transfer.TransferError, match="it changed while it was fetched"):
        await fetch(kept, tmp_path / "got", twist)


async def test_silence_ends_it_and_nothing_is_left_under_way(kept: Keeping, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no answer"):
        await fetch(kept, tmp_path / "got", lambda answer: None if answer["offset"] else answer)
    assert len(asyncio.all_tasks()) == 1


async def test_what_takes_a_while_is_told(kept: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TELL_AFTER", 0.0)
    monkeypatch.setattr(transfer, "TELL_EVERY", 0.0)
    told: list[int] = []
    (kept.folder / "ps0-final.pt").write_bytes(CONTENT)
    await transfer.fetch(Session(kept), "ps0-final.pt", len(CONTENT), tmp_path / "got", told.append)
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


# Which model a run's is


def flipped(whole: bytes) -> bytes:
    """With one bit changed amid the numbers of the model."""
    place = len(whole) // 2
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


def planned(**values: Any) -> Plan:
    """PSs 0 and 1 on a, 2 on b; four workers on c."""
    hosts = [Host("a", servers=2), Host("b", servers=1), Host("c", workers=4)]
    return make_plan(hosts, {"dataset": "digits", **values})


async def brought(
    kept: Keeping,
    folder: Path,
    held: dict[str, list[str]],
    plan: Plan | None = None,
    twist: Any = lambda answer: answer,
) -> tuple[int | None, list[str], dict[str, Session]]:
    """(rank of the model that came, warnings, sessions) when hosts hold these files."""
    records: list[dict[str, Any]] = []
    sessions = {name: Session(kept, twist) for name in ("a", "b", "c")}
    bring = Bringing(plan or planned(), records.append)
    for host, names in held.items():
        files = [{"name": name, "size": path.stat().st_size} for name in names if (path := kept.folder / name).exists()]
        bring.held(host, {"files": files, "folder": "/there"})
    for name, session in sessions.items():
        if name not in held:
            session.ended.set_result(None)
    async with asyncio.timeout(20):
        await bring.bring(sessions, folder, True)
    models = [record["rank"] for record in records if record["kind"] == "model"]
    return next(iter(models), None), [r["text"] for r in records if r["kind"] == "warning"], sessions


@pytest.fixture
def saved(kept: Keeping) -> Keeping:
    finals = ("ps0-final.pt", "ps1-final.pt", "ps2-final.pt", "ps1-attacker-final.pt")
    path = written(kept.folder / "written.pt")
    for name in (*finals, "ps0-step-000005.pt", "ps2-step-000009.pt"):
        shutil.copy(path, kept.folder / name)
    return kept


@pytest.mark.parametrize(
    ("held", "rank"),
    [
        ({"a": ["ps1-final.pt", "ps0-final.pt"], "b": ["ps2-final.pt"]}, 0),
        ({"a": ["ps1-final.pt", "ps0-step-000005.pt"], "b": ["ps2-final.pt"]}, 1),
        ({"a": ["ps1-attacker-final.pt", "ps0-step-000005.pt"], "b": ["ps2-final.pt"]}, 2),
        ({"a": ["ps0-step-000005.pt"], "b": ["ps2-step-000009.pt"]}, 2),
        ({"a": [], "b": ["ps0-final.pt"]}, None),  # not a rank of that host
        ({"c": ["ps0-final.pt"]}, None),
        ({}, None),
    ],
)
async def test_it_is_the_final_one_of_the_lowest_honest_server(
    saved: Keeping, tmp_path: Path, held: dict[str, list[str]], rank: int | None
) -> None:
    found, warnings, sessions = await brought(saved, tmp_path, held)
    assert (found, warnings) == (rank, [])
    assert (tmp_path / "model.pt").exists() == (rank is not None)
    for host in held:
        assert sessions[host].sent[-1] == {"type": "release", "remove": rank is not None}


async def test_that_of_an_attacker_is_never_taken_whatever_it_is_called(saved: Keeping, tmp_path: Path) -> None:
    plan = planned(attack_ps="random", byz_servers=(0,))
    found, _, _ = await brought(saved, tmp_path, {"a": ["ps0-final.pt", "ps1-final.pt"]}, plan)
    assert found == 1


@pytest.mark.parametrize("damage", [lambda _: b"PK\x05\x06 nothing of the sort", lambda whole: flipped(whole)])
async def test_what_is_no_checkpoint_is_told_and_the_next_one_is_taken(
    saved: Keeping, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = saved.folder / "ps0-final.pt"
    path.write_bytes(damage(path.read_bytes()))
    found, warnings, _ = await brought(saved, tmp_path, {"a": ["ps0-final.pt", "ps1-final.pt"]})
    assert found == 1
    assert warnings == [
        "The model of rank 0 could not be brought here (what came is no checkpoint); it stays on a: /there/ps0-final.pt"
    ]
    assert files(tmp_path) == ["model.pt"]
    assert checkpointfile.read(tmp_path / "model.pt").step == 5


async def test_a_host_that_is_silent_fails_nothing_and_removes_nothing(saved: Keeping, tmp_path: Path) -> None:
    found, warnings, sessions = await brought(saved, tmp_path, {"b": ["ps2-final.pt"]}, twist=lambda answer: None)
    assert found is None
    assert "no answer within 20 s" in warnings[0]
    assert sessions["b"].sent[-1] == {"type": "release", "remove": False}
    assert files(tmp_path) == []


async def test_a_connection_that_is_lost_and_made_anew_costs_no_model(saved: Keeping, tmp_path: Path) -> None:
    answers = iter([None])
    found, warnings, _ = await brought(
        saved, tmp_path, {"a": ["ps0-final.pt"]}, twist=lambda answer: next(answers, answer)
    )
    assert (found, warnings) == (0, [])


async def test_who_only_looks_on_fetches_nothing(saved: Keeping, tmp_path: Path) -> None:
    session = Session(saved)
    session.holds = False
    bring = Bringing(planned(), lambda record: None)
    bring.held("a", {"files": [{"name": "ps0-final.pt", "size": 5}]})
    await bring.bring({"a": session}, tmp_path, True)
    assert files(tmp_path) == []


async def test_hosts_that_say_nothing_are_not_waited_for_for_ever(
    saved: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "HELD_WITHIN", 0.05)
    bring = Bringing(planned(), lambda record: None)
    async with asyncio.timeout(5):
        await bring.bring({"a": Session(saved)}, tmp_path, True)
