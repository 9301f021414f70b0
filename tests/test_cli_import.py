"""python -m controller import: lists of other programs become hosts files that can be launched."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.draft import Draft
from controller.hostlists import HostListError, read_lists, to_hosts_file
from controller.hosts import Host
from controller.hostsfile import HostsFile
from tests.clitools import command, here

__all__ = ["here"]  # the fixture


def hosts(*texts: tuple[str, str], servers: int = 1) -> list[Host]:
    """The hosts of the file that these lists make; it has no problem, and with one PS it can be launched."""
    file = HostsFile(Path("hosts.toml"), to_hosts_file(read_lists(texts, servers), "a test"), None)
    assert file.problems == []
    if sum(host.servers for host in file.hosts) == 1:
        assert Draft(file).plan().errors == ()
    return file.hosts


def ranks(*texts: tuple[str, str], servers: int = 1) -> dict[str, tuple[int, int]]:
    return {host.name: (host.servers, host.workers) for host in hosts(*texts, servers=servers)}


def test_the_files_of_the_original() -> None:
    lists = (("servers", "ada@s1\n"), ("lists/workers", "ada@w1\nada@w2:2222\n\nada@w1\n"))
    assert ranks(*lists) == {"s1": (1, 0), "w1": (0, 2), "w2": (0, 1)}
    found = hosts(*lists)
    assert {host.user for host in found} == {"ada"}
    assert {host.origin["user"] for host in found} == {"[defaults]"}
    assert [host.port for host in found] == [None, None, 2222]


def test_a_host_in_both_files_carries_both() -> None:
    assert ranks(("servers", "a\nb\n"), ("workers", "a\nc\n")) == {"a": (1, 1), "b": (1, 0), "c": (0, 1)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node[01-03,7],gpu1", {"node01": (1, 0), "node02": (0, 1), "node03": (0, 1), "node7": (0, 1), "gpu1": (0, 1)}),
        ("r[1-2]n[8-9]", {"r1n8": (1, 0), "r1n9": (0, 1), "r2n8": (0, 1), "r2n9": (0, 1)}),
        ("n1\nn1\nn1\nn2\nn2\n", {"n1": (1, 2), "n2": (0, 2)}),
        ("# mine\na slots=4 # four\nb slots = 2 max_slots=3\n", {"a": (1, 3), "b": (0, 2)}),
        ("a:4\nb:2\n", {"a": (1, 3), "b": (0, 2)}),
        ("alone slots=3\n", {"alone": (1, 2)}),
        ("alone\n", {"alone": (1, 1)}),
        ("10.0.0.1\n10.0.0.2\n", {"10.0.0.1": (1, 0), "10.0.0.2": (0, 1)}),
    ],
)
def test_node_lists_and_hostfiles(text: str, expected: dict[str, tuple[int, int]]) -> None:
    assert ranks(("nodes", text)) == expected


def test_as_many_servers_as_wanted() -> None:
    assert ranks(("nodes", "n[1-5]"), servers=2) == {
        "n1": (1, 0), "n2": (1, 0), "n3": (0, 1), "n4": (0, 1), "n5": (0, 1)
    }  # fmt: skip


def test_ports_addresses_and_this_machine() -> None:
    found = hosts(("nodes", "a:2222\na:2223\nlocalhost\n[fe80::1]:22\n"))
    assert [(host.name, host.address, host.port, host.connection) for host in found] == [
        ("a", "a", 2222, "ssh"),
        ("a-2223", "a", 2223, "ssh"),
        ("localhost", "localhost", None, "local"),
        ("fe80::1", "fe80::1", 22, "ssh"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\n-oProxyCommand=touch\n", "nodes, line 2: '-oProxyCommand=touch' is no host: it must not begin with"),
        ("a b c\n", "nodes, line 1: 'a b c' is no host, nor a host with slots=4."),
        ("a slots=many\n", "'many' is no number of slots."),
        ("n[3-1]", "[3-1] is no range such as [01-04,07]."),
        ("n[1-999999]", "is no range"),
        ("n[1-", "has a bracket that isn't closed"),
        ("a\n" * 2000, "more than 1000 ranks"),
        ("# nobody\n\n", "nodes: there is no host in it."),
        ("a\x1b]0;x\x07\n", "has a bracket"),
        ("a\x07\n", "must not hold control characters"),
    ],
)
def test_what_is_no_list_of_hosts_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(HostListError) as refused:
        read_lists([("nodes", text)])
    assert sentence in str(refused.value)
    assert str(refused.value).isprintable()


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text_makes_a_hosts_file_or_one_sentence(text: str) -> None:
    try:
        found = read_lists([("nodes", text)])
    except HostListError:
        return
    file = HostsFile(Path("hosts.toml"), to_hosts_file(found, text), None)
    assert len(file.hosts) == len(found.hosts)


def test_guesses_are_told_and_no_file_is_overwritten(here: Path) -> None:
    before = (here / "hosts.toml").read_text()
    done = command(here, "import", "node[1-3]")
    assert done.returncode == 0
    assert done.stdout.startswith("# Made from the list node[1-3].")
    assert done.stderr == "guessed: the first host carries the parameter server in place of a worker: node1.\n"
    refused = command(here, "import", "node[1-3]", "-o", "hosts.toml")
    assert (refused.returncode, refused.stderr) == (1, "hosts.toml is there already; to write over it, add --yes.\n")
    assert (here / "hosts.toml").read_text() == before
    assert command(here, "import", "node[1-3]", "-o", "new.toml").returncode == 0
    assert [host.name for host in HostsFile.open(here / "new.toml").hosts] == ["node1", "node2", "node3"]
    assert command(here, "import", "node[1-3]", "-o", "hosts.toml", "--yes").returncode == 0
    assert (here / "hosts.toml").read_text() != before
    (here / "servers").write_text("s1\n")
    told = json.loads(command(here, "import", "servers", "--json").stdout)
    assert told["findings"] == ["No host carries a worker: give one workers = 1 or more."]
    missing = command(here, "import", "nofile")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "nofile can't be read (No such file or directory)" in missing.stderr
