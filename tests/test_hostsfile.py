"""A hosts file is opened and edited with its comments, order and unknown keys kept."""

import tomllib
from pathlib import Path

import pytest

from controller.hostsfile import ChangedOnDisk, HostsFile, HostsFileError
from controller.hostsfile.file import NEW
from tests.sketches import CLUSTER, LOCAL

TEXT = """\
# The lab.

[[host]]   # first
name = "a" # its name
# port = 22

# Second rack

# about b
[[host]]
name = "b"
workers = 4          # four
servers = 1
"""


def opened(tmp_path: Path, text: str) -> HostsFile:
    path = tmp_path / "hosts.toml"
    path.write_bytes(text.encode())
    return HostsFile.open(path)


def of(text: str) -> HostsFile:
    return HostsFile(Path("hosts.toml"), text, "read")


# --- opening


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(
        HostsFileError, match=r"lab.toml: there is no such hosts file; make one from the example: cp .*"
    ):
        HostsFile.open(tmp_path / "lab.toml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[[host]]\nname = \n", r"hosts.toml: line 2, column 8: this isn't TOML: invalid value."),
        (b"[[host]]\nname = 'a'\nname = 'b'\n", r"line 3, column 11: this isn't TOML: cannot overwrite a value."),
        (b'[[host]]\nname = "a', r"line 2.*: this isn't TOML: "),
        (b"[run]\n[run]\n", r"line 2, column 5: this isn't TOML: "),
        (b"x = 1\n\xff", r"line 2 isn't UTF-8"),
        (b"x = " + b"[" * 100_000, r"this isn't a hosts file"),
        (b"x = " + b"9" * 10_000, r"this isn't a hosts file"),
        (b"#" * 4_000_001, r"can't be read: it has more than 4,000,000 bytes\."),
    ],
)
def test_what_is_not_toml_is_one_sentence_with_its_line(tmp_path, content, told):
    path = tmp_path / "hosts.toml"
    path.write_bytes(content)
    with pytest.raises(HostsFileError, match=told):
        HostsFile.open(path)


def test_a_folder_is_one_sentence(tmp_path):
    with pytest.raises(HostsFileError, match="can't be read: "):
        HostsFile.open(tmp_path)


@pytest.mark.parametrize("text", [LOCAL, CLUSTER])
def test_sketches_open_without_problems(tmp_path, text):
    assert opened(tmp_path, text).problems == []


def test_a_new_file_is_valid_and_is_not_written_over_another(tmp_path):
    path = tmp_path / "hosts.toml"
    file = HostsFile.new(path)
    assert (file.problems, file.dirty, len(file.hosts)) == ([], True, 1)
    path.write_text("someone was faster")
    with pytest.raises(ChangedOnDisk):
        file.save()
    path.unlink()
    file.save()
    assert not file.dirty
    assert path.read_text() == file.text()


def test_a_new_file_is_that_of_the_repository_and_is_installed():
    root = Path(__file__).parent.parent
    assert HostsFile.new("hosts.toml").text() == (root / "hosts.toml").read_text()
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert NEW.name in project["tool"]["setuptools"]["package-data"]["controller.hostsfile"]


ODD = '''\
run.lease = "1m" # dotted
experiment = { lr = 0.5 }
[["host"]] # quoted
"name" = """
a]"""  # text over two lines
env.A = "1"
gpus = [ # [[host]]
  0, # ]
  1,
]
[host.env]
B = \'\'\'
[[host]]\'\'\'
[ "preset" . 'x y' ]
lr = 1
[[host]]
name = "b#"
"data_dir" = \'C:\\\'
'''


def test_odd_ways_of_writing_are_read_with_their_lines():
    text = ODD.replace('"""\na]"""', '"a]"').replace("'''\n[[host]]'''", "'[[host]]'").replace("env.A", "port = 1 #")
    file = of(text)
    assert [(host.name, host.line, host.env) for host in file.hosts] == [("a]", 3, {"B": "[[host]]"}), ("b#", 14, {})]
    assert (file.hosts[0].gpus, file.hosts[1].data_dir, file.run, file.experiment) == (
        (0, 1),
        "C:\\",
        {"lease": "1m"},
        {"lr": 0.5},
    )
    assert file.presets == {"x y": {"lr": 1}}
    assert file.problems == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: file.set_run("lease", "2m"),
        lambda file: file.set_experiment("lr", 0.25),
        lambda file: file.set_experiment("momentum", 0.25),
        lambda file: file.set_experiment("lr", None),
        lambda file: file.set_host(0, "env", {"A": "2"}),
        lambda file: file.set_host(0, "env", None),
    ],
)
def test_what_can_not_be_edited_is_refused_and_left_alone(edit):
    file = of(ODD.replace("[host.env]\nB =", "env.B ="))
    before = file.text()
    with pytest.raises(HostsFileError, match="in the file itself"):
        edit(file)
    assert file.text() == before
    assert not file.undo()


def test_hosts_in_an_inline_array_are_read_and_not_edited():
    file = of('host = [{ name = "a", servers = 1 }, { name = "b", workers = 1 }]\n')
    assert [host.name for host in file.hosts] == ["a", "b"]
    for edit in (
        lambda: file.set_host(0, "workers", 2),
        lambda: file.add_host(name="c"),
        lambda: file.remove_host(0),
        lambda: file.move_host(0, 1),
        lambda: file.duplicate_host(0),
    ):
        with pytest.raises(HostsFileError, match=r"only where each is written as \[\[host\]\]"):
            edit()
    assert not file.dirty


def test_a_table_of_a_host_far_from_it_is_never_torn_off():
    file = of('[[host]]\nname = "a"\n[run]\n[host.env]\nA = "1"\n[[host]]\nname = "b"\n')
    assert [host.env for host in file.hosts] == [{"A": "1"}, {}]
    for edit in (lambda: file.remove_host(0), lambda: file.move_host(0, 1), lambda: file.duplicate_host(0)):
        with pytest.raises(HostsFileError, match="in the file itself"):
            edit()
    file.set_host(0, "workers", 1)
    assert [host.env for host in file.hosts] == [{"A": "1"}, {}]


# --- editing


def test_a_host_takes_its_comments_along():
    file = of(TEXT)
    file.move_host(1, 0)
    assert file.text() == (
        '# The lab.\n\n# about b\n[[host]]\nname = "b"\nworkers = 4          # four\nservers = 1\n\n# Second rack\n\n'
        '[[host]]   # first\nname = "a" # its name\n# port = 22\n'
    )
    file.remove_host(0)
    assert file.text() == '# The lab.\n\n# Second rack\n\n[[host]]   # first\nname = "a" # its name\n# port = 22\n'
    assert file.undo()
    assert file.undo()
    assert file.text() == TEXT
    assert not file.dirty


def test_a_value_is_replaced_and_nothing_else():
    file = of(TEXT)
    file.set_host(1, "workers", 12)
    assert file.text() == TEXT.replace("workers = 4          # four", "workers = 12         # four")
    file.set_host(1, "workers", "4")
    assert file.text() == TEXT
    file.set_host(1, "port", "2222")
    assert file.text() == TEXT + "port = 2222\n"
    file.set_host(1, "port", "")
    file.set_host(1, "servers", None)
    assert file.text() == TEXT.replace("servers = 1\n", "")


def test_the_emptied_field_of_a_host_wins_over_defaults():
    file = of('[defaults]\nuser = "al"\n[[host]]\nname = "a"\nservers = 1\n')
    file.set_host(0, "user", "")
    assert file.hosts[0].user is None
    file.set_host(0, "user", None)
    assert file.hosts[0].user == "al"


def test_values_that_a_key_can_not_take_are_refused():
    file = of(TEXT)
    for key, value in (("port", 0), ("wokers", 1), ("name", "b"), ("name", None), ("name", "-x"), ("env", "A")):
        with pytest.raises(HostsFileError):
            file.set_host(0, key, value)
    for index in (2, -1):
        with pytest.raises(HostsFileError, match="no host number"):
            file.set_host(index, "port", 1)
    with pytest.raises(HostsFileError, match="num_ps: follows from"):
        file.set_experiment("num_ps", 2)
    assert not file.dirty


def test_hosts_are_added_where_they_belong():
    file = of('# top\n\n[defaults]\nuser = "al"\n\n# the experiment\n[experiment]\nlr = 1.0\n')
    file.add_host(name="b", workers=2)
    file.add_host(0, name="a", servers=1, env={"A": "b c"})
    assert file.text() == (
        '# top\n\n[defaults]\nuser = "al"\n\n[[host]]\nname = "a"\nenv = { A = "b c" }\nservers = 1\n\n'
        '[[host]]\nname = "b"\nworkers = 2\n\n# the experiment\n[experiment]\nlr = 1.0\n'
    )
    assert file.duplicate_host(0) == 1
    assert [host.name for host in file.hosts] == ["a", "a-2", "b"]
    assert file.hosts[1].env == {"A": "b c"}


def test_tables_are_added_where_they_belong():
    file = of('# only\n[[host]]\nname = "a" # x')
    file.set_experiment("lr", "0.5")
    file.set_run("lease", "until finished")
    assert file.text() == (
        '# only\n[[host]]\nname = "a" # x\n\n[experiment]\nlr = 0.5\n\n[run]\nlease = "until finished"'
    )
    empty = of("")
    empty.set_experiment("byz_workers", (1, 2))
    empty.add_host(name="a")
    assert empty.text() == '[[host]]\nname = "a"\n\n[experiment]\nbyz_workers = [1, 2]\n'


def test_typing_on_in_a_field_is_one_step_of_undo():
    file = of(TEXT)
    for text in ("0.1", "0.12", "0.125"):
        file.set_experiment("lr", text)
    file.set_host(1, "workers", 5)
    file.set_host(1, "workers", 6)
    assert file.depth == 3
    for text in ("workers = 5", "workers = 4"):
        file.undo()
        assert text in file.text()
    file.undo()
    assert file.text() == TEXT


def test_unknown_keys_are_kept():
    file = of(TEXT + 'colour = "red" # mine\n[garden]\nroses = 3\n')
    file.set_host(1, "workers", 5)
    file.move_host(1, 0)
    assert len(file.problems) == 2
    assert 'colour = "red" # mine\n' in file.text()
    assert "[garden]\nroses = 3\n" in file.text()
