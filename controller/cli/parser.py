"""What can be typed: every command with its words, options and help. The README's table is made from it."""

from __future__ import annotations

import argparse

EPILOG = """\
FILE is a hosts file, hosts.toml unless named. RUN is a run's id, the beginning of one, or its name; where only one
run can be meant it may be left out.

exit codes: 0 finished or done, 1 failed or refused, 2 wrong usage, 130 stopped.
A run in progress: Ctrl-C once stops it in order, twice kills it."""

RANK_ACTS = ("pause", "resume", "kill", "restart", "attack", "checkpoint")

TRUST = """\
The keys of jump hosts on the way come first. Compare what is shown with what the machine itself says:
  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
Trusted keys are stored where ssh finds them too. A key that has changed is never stored: first remove the old one."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of `python -m controller`."""
    parser = argparse.ArgumentParser(
        prog="python -m controller",
        description="Launch, watch and stop a cluster of ranks; python tui.py does the same on screens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_check(commands)
    _add_trust(commands)
    _add_status(commands)
    _add_attach(commands)
    _add_detach(commands)
    _add_stop(commands)
    _add_rank(commands)
    _add_clean(commands)
    _add_logs(commands)
    _add_runs(commands)
    _add_show(commands)
    _add_compare(commands)
    _add_export(commands)
    _add_import(commands)
    _add(commands, "keys", "listing", "every key of a hosts file and every parameter of an experiment")
    _add(commands, "paths", "listing", "the files and folders that the controller uses")
    return parser


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name, in the order of the help."""
    (commands,) = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(commands.choices)


def _add_run(commands: argparse._SubParsersAction) -> None:
    run = _add(commands, "run", "run", "launch a run and follow it to its end")
    _add_file(run)
    _add_experiment(run)
    run.add_argument("--name", default="", help="what to call the run; else its preset or rule, and the hour")
    run.add_argument("--note", default="", help="a sentence to keep with the run")
    run.add_argument(
        "--detach", action="store_true", help="leave once its ranks are started: it goes on until it has finished"
    )


def _add_check(commands: argparse._SubParsersAction) -> None:
    check = _add(commands, "check", "check", "look at every host before a run: a table, and what mends what is wrong")
    _add_file(check)
    _add_experiment(check)


def _add_trust(commands: argparse._SubParsersAction) -> None:
    trust = _add(commands, "trust", "trust", "show the SSH key of a host, ask, and trust it from then on", TRUST)
    trust.add_argument("host", metavar="HOST", help="name of the host in the hosts file")
    _add_file(trust)
    trust.add_argument(
        "--yes",
        action="append",
        default=[],
        metavar="FINGERPRINT",
        help="trust this key (SHA256:…) without asking; repeatable, for jump hosts",
    )


def _add_status(commands: argparse._SubParsersAction) -> None:
    status = _add(commands, "status", "attend", "the runs that the hosts of a file know of, whoever launched them")
    _add_file(status)


def _add_attach(commands: argparse._SubParsersAction) -> None:
    attach = _add(
        commands,
        "attach",
        "attach",
        "follow a run that goes on, as run does, from any machine",
        """
All that happened since the launch is told and recorded here too. Ctrl-C leaves it as it is; stop ends it. While another
controller holds the run, this one looks on; --take takes the run over, so that it lives as long as this one is heard.
""",
    )
    _add_words(attach)
    attach.add_argument("--take", action="store_true", help="take the run over from who holds it")
    _add_yes(attach)


def _add_detach(commands: argparse._SubParsersAction) -> None:
    detach = _add(
        commands,
        "detach",
        "attend",
        "have a run go on until it has finished, whatever becomes of who launched it",
        """
Its hosts then end nothing when their controller falls silent. Follow it later with attach, or end it with stop.
""",
    )
    _add_words(detach)
    _add_yes(detach)


def _add_stop(commands: argparse._SubParsersAction) -> None:
    stop = _add(commands, "stop", "attend", "stop a run that the hosts of a file know of, from any machine")
    _add_words(stop)
    stop.add_argument("--kill", action="store_true", help="kill its ranks at once")
    _add_yes(stop)


def _add_rank(commands: argparse._SubParsersAction) -> None:
    rank = _add(
        commands,
        "rank",
        "rank",
        "pause, resume, kill or restart one rank, or switch its attack, while the run goes on",
        """
  python -m controller rank 4 pause
  python -m controller rank 4 attack "sign-flip(scale=10)"
  python -m controller rank 4 attack off

attack on is what the experiment names as the attack of such a rank; off makes it honest. checkpoint has a PS save now.
""",
    )
    rank.add_argument("rank", metavar="N", type=int, help="the rank's number")
    rank.add_argument("act", metavar="ACT", choices=RANK_ACTS, help=", ".join(RANK_ACTS))
    rank.add_argument("attack", nargs="?", metavar="on|off|SPEC", help="with attack: which one, as in --set attack")
    rank.add_argument("--file", metavar="FILE", help="hosts file [hosts.toml]")
    rank.add_argument("--run", metavar="RUN", help="which run, if several go on")
    _add_yes(rank)


def _add_clean(commands: argparse._SubParsersAction) -> None:
    clean = _add(
        commands,
        "clean",
        "clean",
        "end what runs have left on the hosts of a file although nothing supervises it any more",
        """
First it lists what would be ended: host, run, rank, pid, name, age; and the checkpoints that runs which crashed have
left there. Then it asks, or goes on with --yes, and ends exactly those processes: found by the hosts' own records (pid,
start time, user, run id), never by a name; and removes exactly those files. A run that still goes on is no leftover;
that is ended by stop. Without a terminal and without --yes, nothing is ended.
""",
    )
    _add_words(clean)
    clean.add_argument("--running", action="store_true", help="also what an agent of RUN still supervises")
    _add_yes(clean)


def _add_logs(commands: argparse._SubParsersAction) -> None:
    logs = _add(
        commands,
        "logs",
        "logs",
        "what a rank or a host of a recorded run printed",
        """
Of a host, the lines of its ranks and of its agent. Lines of stderr are marked with !, those of the agent with a dot.
Only runs launched or attached to from this machine are recorded on it.
""",
    )
    logs.add_argument("printer", metavar="RANK|HOST", help="number of a rank, or name of a host")
    logs.add_argument("run", nargs="?", metavar="RUN", help="a recorded run [the newest]")
    logs.add_argument("-f", "--follow", action="store_true", help="go on while the run does")
    logs.add_argument("--since", metavar="TIME", help="only the last 30s, 5m or 2h")


def _add_runs(commands: argparse._SubParsersAction) -> None:
    runs = _add(commands, "runs", "listing", "the runs recorded on this machine, newest first")
    runs.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="only runs whose id, name, note, outcome or setup has it; a hosts file: only runs on its hosts",
    )


def _add_show(commands: argparse._SubParsersAction) -> None:
    show = _add(
        commands,
        "show",
        "show",
        "one recorded run: what was launched, what came of it, who had which data, where the model is",
    )
    show.add_argument("run", nargs="?", metavar="RUN", help="a recorded run [the newest]")


def _add_compare(commands: argparse._SubParsersAction) -> None:
    compare = _add(
        commands,
        "compare",
        "compare",
        "recorded runs side by side: the parameters in which they differ, then what came of each",
        """
A word may mean several runs, such as a name that they share. Runs that differ in the seed alone are told as one: the
median of each figure, and in brackets the lowest and the highest.
""",
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="recorded runs, two at least")
    compare.add_argument("--each", action="store_true", help="each run by itself, also those that differ in the seed")


def _add_export(commands: argparse._SubParsersAction) -> None:
    export = _add(
        commands,
        "export",
        "export",
        "what recorded runs measured, as tidy CSV (run, time, step, rank, role, metric, value) or as JSON",
        """
One value a row. time is in seconds since the launch. Metrics of each step: loss, seconds, where those went (such as
seconds_compute), bytes_sent, bytes_received, late, dropped; of a PS also quorum, and weight_by_0, the share that PS 0
gave a worker. Besides: accuracy, cpu (cores), memory (bytes).

With --json, or into a FILE that ends in .json, it is one JSON document that also says what each run was: {"runs":
[{run, name, note, parameters, outcome, accuracy and so on, "values": [{time, step, rank, role, metric, value}]}]}.
""",
    )
    export.add_argument("runs", nargs="*", metavar="RUN", help="recorded runs, one after the other [the newest]")
    export.add_argument("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    export.add_argument("--metric", action="append", default=[], metavar="NAME", help="only this metric; repeatable")


def _add_import(commands: argparse._SubParsersAction) -> None:
    importing = _add(
        commands,
        "import",
        "importing",
        "make a hosts file of another program's list of hosts",
        """
  python -m controller import servers workers -o hosts.toml     the original's two files
  python -m controller import "$SLURM_JOB_NODELIST"             node[01-04,07],gpu1
  python -m controller import $OAR_NODEFILE                     a line a core
  python -m controller import hostfile                          OpenMPI: node1 slots=4

What the list doesn't say is guessed, and told: by default the first host carries the parameter server.
""",
    )
    importing.add_argument("lists", nargs="+", metavar="LIST", help="a file, - for standard input, or the list itself")
    importing.add_argument(
        "--ps", type=_count, default=1, metavar="N", help="how many hosts carry a PS, where none is told"
    )
    importing.add_argument("-o", "--output", metavar="FILE", help="write this hosts file instead of printing it")
    importing.add_argument("--yes", action="store_true", help="write over a file that is there")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _add(
    commands: argparse._SubParsersAction, name: str, module: str, summary: str, text: str = ""
) -> argparse.ArgumentParser:
    """A command that `controller.cli.<module>` carries out; `text` explains more than its one line."""
    description = f"{summary[0].upper()}{summary[1:]}."
    command = commands.add_parser(
        name,
        help=summary,
        description="{}\n\n{}".format(description, text.strip("\n")) if text else description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(module=module, command=name)
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _add_experiment(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter, or lease; repeatable"
    )
    command.add_argument("--preset", metavar="NAME", help="lay [preset.NAME] over [experiment]")


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", nargs="?", default="hosts.toml", metavar="FILE", help="hosts file [hosts.toml]")


def _add_words(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", nargs="?", metavar="FILE", help="hosts file: a name that ends in .toml [hosts.toml]")
    command.add_argument("run", nargs="?", metavar="RUN", help="which run, if several go on; its FILE may be left out")


def _add_yes(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="don't ask, also where the run wasn't launched from here")
