"""Keys of a hosts file: their table, their values, and what a file with wrong ones is told."""

import math
import tomllib
from pathlib import Path

import pytest

from controller.hosts import HOST_KEYS, RUN_KEYS, Host
from controller.hostsfile import HostsFile
from controller.hostvalues import HostValueError, format_lease, parse_lease
from garfield.kinds import has_control

SHIPPED = Path(__file__).parent.parent / "hosts.toml"
HOST = '[[host]]\nname = "a"\nservers = 1\nworkers = 2\n'


def opened(tmp_path: Path, text: str) -> HostsFile:
    path = tmp_path / "hosts.toml"
    path.write_bytes(text.encode())
    return HostsFile.open(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    return [problem.text for problem in opened(tmp_path, text).problems]


@pytest.mark.parametrize("key", [*HOST_KEYS.values(), *RUN_KEYS.values()], ids=lambda key: key.name)
def test_every_key_has_help_and_an_example_that_is_valid(key):
    example = tomllib.loads(f"key = {key.example}")["key"]
    key.parse(example)
    assert key.help
    assert key.default is None or key.parse(key.default) == key.default


def test_host_fields_are_the_keys():
    assert set(HOST_KEYS) == {field for field in Host.__dataclass_fields__ if field not in ("origin", "line", "file")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("env", {"A": "two words", "B": "it's"}),
        ("gpus", (0, 2)),
        ("enabled", False),
        ("port", 22),
        ("user", "al"),
        ("env", {}),
    ],
)
def test_form_text_of_a_value_reads_back(name, value):
    assert HOST_KEYS[name].parse(HOST_KEYS[name].format(value)) == value


def test_form_text_that_is_no_table_is_refused():
    for text in ("A", "A='1"):
        with pytest.raises(HostValueError):
            HOST_KEYS["env"].parse(text)
    assert HOST_KEYS["jump"].format(None) == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("15m", 900), ("2h", 7200), ("1.5 h", 5400), ("until finished", math.inf)]
)
def test_lease_reads_and_writes(text, seconds):
    assert parse_lease(text) == seconds
    assert parse_lease(format_lease(seconds)) == seconds


@pytest.mark.parametrize("raw", ["", "15", 15, "-1s", "0s", "0.5s", "forever", "1e3s", "15 minutes", None, True, "²s"])
def test_lease_refuses(raw):
    with pytest.raises(HostValueError):
        parse_lease(raw)


def test_defaults_are_laid_in_and_the_origin_is_kept(tmp_path):
    file = opened(
        tmp_path,
        '[defaults]\nuser = "al"\nport = 2222\nenv = { A = "1", B = "1" }\n'
        '[[host]]\nname = "x"\nservers = 1\nport = 22\nenv.B = "2"\nuser = ""\n[[host]]\nname = "y"\nworkers = 2\n',
    )
    x, y = file.hosts
    assert (x.user, x.port, x.env, x.address, x.line) == (None, 22, {"A": "1", "B": "2"}, "x", 5)
    assert (y.user, y.port, y.env) == ("al", 2222, {"A": "1", "B": "1"})
    assert [x.origin[key] for key in ("port", "env", "user", "python")] == ["own", "own", "own", "default"]
    assert [y.origin[key] for key in ("port", "env", "workers", "gpus")] == [
        "[defaults]",
        "[defaults]",
        "own",
        "default",
    ]
    assert file.problems == []


PROBLEMS = [
    ("wokers = 3", "line 5: [[host]] has no key 'wokers'; did you mean workers?"),
    ("lease = '1m'", "line 5: [[host]] has no key 'lease'; it belongs in [run]."),
    ("lr = 0.1", "line 5: [[host]] has no key 'lr'; it belongs in [experiment]."),
    ("zzz = 1", "line 5: [[host]] has no key 'zzz'; python -m controller keys lists them."),
    ("port = '22x'", 'line 5: port = "22x": must be a whole number.'),
    ("port = 0", "line 5: port = 0: must be 1 to 65535."),
    ("port = true", "line 5: port = true: must be a whole number."),
    ("enabled = 1", "line 5: enabled = 1: must be true or false."),
    ("gpus = 1", "line 5: gpus = 1: must be a list of GPU numbers, as in [0, 1]."),
    ("gpus = [1, 1]", "line 5: gpus = [1, 1]: must be a list of different GPU numbers from 0, as in [0, 1]."),
    ("connection = 'telnet'", 'line 5: connection = "telnet": must be one of ssh, local.'),
    ("connection = ['ssh']", 'line 5: connection = ["ssh"]: must be one of ssh, local.'),
    ("address = 'me@x'", 'line 5: address = "me@x": must be a host name, an IP address or an alias of ~/.ssh/config, '),
    ("address = 'x:22'", 'line 5: address = "x:22": must be without a port; that is the key port.'),
    ("address = '-oProxyCommand=x'", 'line 5: address = "-oProxyCommand=x": must not begin with "-".'),
    (
        "address = 'x;touch pwned'",
        'line 5: address = "x;touch pwned": must not hold ;, which a shell',
    ),
    (
        "address = '$(touch pwned)'",
        'line 5: address = "$(touch pwned)": must not hold $ ( ), which a shell',
    ),
    ("user = 'a b'", 'line 5: user = "a b": must be a user name, without blanks, @, : or /.'),
    ("user = 'a@b'", 'line 5: user = "a@b": must be a user name, without blanks, @, : or /.'),
    ("user = '`id`'", 'line 5: user = "`id`": must not hold `, which a shell may take for more than a name.'),
    ("jump = '-oProxyCommand=x'", 'line 5: jump = "-oProxyCommand=x": must not begin with "-".'),
    ("jump = 'gate,-oProxyCommand=x'", 'line 5: jump = "gate,-oProxyCommand=x": must be [user@]host[:port], several '),
    ("jump = 'a@b@c'", 'line 5: jump = "a@b@c": must be [user@]host[:port], several separated by commas.'),
    (
        "jump = 'a||touch pwned'",
        'line 5: jump = "a||touch pwned": must not hold |, which a shell',
    ),
    ("jump = 'gate:port'", 'line 5: jump = "gate:port": must be [user@]host[:port], several separated by commas.'),
    ("user = '-x'", 'line 5: user = "-x": must not begin with "-".'),
    ("python = '-c'", 'line 5: python = "-c": must not begin with "-".'),
    ('python = "a\\u001b[2J"', 'line 5: python = "a\\u001b[2J": must not hold control characters or line breaks.'),
    ("env = 3", 'line 5: env = 3: must be a table of texts, as in { OMP_NUM_THREADS = "4" }.'),
    ("env.A = 3", 'line 5: env = { A = 3 }: A must be text in quotes, as in A = "3".'),
    ("env = { 'A B' = '' }", 'line 5: env = { "A B" = "" }: \'A B\' is no name of an environment variable.'),
    ('env = { A = "1\\n2" }', 'line 5: env = { A = "1\\n2" }: A must not hold control characters or line breaks.'),
    (
        'env = { A = "1\\u0000" }',
        'line 5: env = { A = "1\\u0000" }: A must not hold control characters or line breaks.',
    ),
    ('env = { "A\\nB" = "1" }', 'line 5: env = { "A\\nB" = "1" }: \'A\\nB\' is no name of an environment variable.'),
    ("[[host]]\nname = 'a b'", 'line 6: name = "a b" is taken as the address, which must be a host name'),
    ("[[host]]\nname = 'a`id`'", 'line 6: name = "a`id`" is taken as the address, which must not hold `'),
    ("env = { GARFIELD_RUN = 'x' }", 'line 5: env = { GARFIELD_RUN = "x" }: GARFIELD_RUN is set by the launch itself.'),
    ("[run]\nlease = 15", 'line 6: lease = 15: must be a time such as "15s", "15m" or "2h", or "until finished".'),
    ("[run]\nleese = '15s'", "line 6: [run] has no key 'leese'; did you mean lease?"),
    ("[defaults]\nname = 'x'", "line 6: [defaults] can't hold name: each host has its own."),
    ("[defaults]\nprot = 22", "line 6: [defaults] has no key 'prot'; did you mean port?"),
    ("[experiment]\nagregator = 'krum'", "line 6: agregator: there is no such parameter; did you mean aggregator?"),
    ("[experiment]\nnum_ps = 1", "line 6: num_ps: follows from where the hosts place their servers and workers"),
    ("[experiment]\nrank = 1", "line 6: rank: follows from where the hosts place"),
    ("[experiment]\nmaster = 'x'", "line 6: master: follows from where the hosts place"),
    ("[experiment]\nlr = 'fast'", "line 6: lr = 'fast': a finite number is needed."),
    ("[experiment]\nlr = 2020-01-01", "line 6: lr = datetime.date(2020, 1, 1): a finite number is needed."),
    ("[experiment]\nworkers = 3", "line 6: workers: this isn't a parameter; it belongs in [[host]]."),
    ("[preset.x]\nlr = -1", "line 6: lr = -1"),
    ("[preset.x]\nlr = 1\nleer = 1", "line 7: leer: there is no such parameter"),
    ("[preset]\nlr = 1", "line 6: lr must be a table, written as [preset.lr]."),
    ("[experment]\nlr = 1", "line 5: there is no table [experment]; did you mean [experiment]?"),
    ("[[experiment]]\nlr = 1", "line 5: experiment must be a table, written as [experiment]."),
    ("[[host]]\nservers = 0", "line 5: [[host]] has no name; each host needs one."),
    ("[[host]]\nname = 'a'", "line 6: a is the name of the host on line 1 already."),
    ("[[host]]\nname = '-x'", 'line 6: name = "-x": must not begin with "-".'),
    ("[[host]]\nname = ' '", 'line 6: name = " ": must not be empty.'),
    ("[[host]]\nname = 'b'\nservers = -1", "line 7: servers = -1: must be 0 to 1000."),
    ("[[host]]\nname = 'b'\nworkers = 1001", "line 7: workers = 1001: must be 0 to 1000."),
    ("[[host]]\nname = 'b'\nworkers = 2.0", "line 7: workers = 2.0: must be a whole number."),
]


@pytest.mark.parametrize(("more", "told"), PROBLEMS, ids=[more for more, _ in PROBLEMS])
def test_each_problem_is_a_sentence_with_its_line(tmp_path, more, told):
    found = problems(tmp_path, HOST + more + "\n")
    assert len(found) == 1
    assert found[0].startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "There is no host: add [[host]]"),
        ("[experiment]\nlr = 1\n", "There is no host: add [[host]]"),
        ("[host]\nname = 'a'\n", "line 1: [host] must be written [[host]], once for each host."),
        ("host = 3\n", "line 1: host must be tables, each written as [[host]]."),
        ("lease = '1m'\n" + HOST, "line 1: lease is in no table; it belongs in [run]."),
        ("x = 1\n" + HOST, "line 1: x is in no table; the tables are [defaults], [[host]], "),
        ("run = 3\n" + HOST, "line 1: run must be a table, written as [run]."),
        (
            "host = [\n  { name = 'a', servers = 1 },\n  { name = 'b', wrkers = 1 },\n]\n",
            "line 1: [[host]] has no key 'wr",
        ),
    ],
)
def test_problems_of_the_whole_file(tmp_path, text, told):
    assert problems(tmp_path, text)[0].startswith(told)


def test_hostile_text_is_refused_without_its_control_characters(tmp_path):
    found = problems(tmp_path, '[[host]]\nname = "a\\u001b]0;x\\u0007\\u202e"\n[preset."\\u001b[2J"]\n"\\u0007x" = 1\n')
    assert len(found) == 3
    assert not any(has_control(text) for text in found)
    assert HostsFile.open(tmp_path / "hosts.toml").presets == {}  # they are offered by name


def test_what_steers_a_terminal_is_no_value_either(tmp_path):
    large = f"1{'0' * 400}"
    file = f'{HOST}[experiment]\ndata_dir = "\\u009b31m"\nresume = "\\u202e"\nlr = {large}\nsteps = {large}\n'
    found = problems(tmp_path, file)
    assert [text.split()[2].strip(":") for text in found] == ["data_dir", "resume", "lr", "steps"]
    assert not any(has_control(text) for text in found)


def test_texts_have_an_end(tmp_path):
    text = f'[[host]]\nname = "{"n" * 101}"\naddress = "h"\npython = "{"p" * 5000}"\nservers = 1\n'
    name, python = problems(tmp_path, text)
    assert "must have at most 100 characters" in name
    assert "must have at most 4096 characters" in python


def test_keys_and_values_as_long_as_the_file_give_short_sentences(tmp_path):
    long = "x" * 300_000
    text = f"{HOST}{long} = 1\n[experiment]\n{long} = 1\nlr = '{long}'\n[{long}]\n"
    found = problems(tmp_path, text)
    assert len(found) == 4
    assert max(map(len, found)) < 450


def test_shipped_file_has_no_problem():
    file = HostsFile.open(SHIPPED)
    assert file.problems == []
    assert [(host.name, host.local, host.servers, host.workers) for host in file.hosts] == [("here", True, 1, 5)]
    assert set(file.presets) == {"undefended", "clean"}
