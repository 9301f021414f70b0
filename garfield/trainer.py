"""One rank of a training run: `python -m garfield.trainer --rank … --master …`.

Nothing here imports torch before the parameters are known to be good.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from garfield import addresses, checkpointfile, combinations, experiment, settings
from garfield.events import EventWriter
from garfield.neighbours import neighbours

FINISHED, CRASHED, BAD_PARAMETERS, LOST_A_RANK = 0, 1, 2, 3


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith((".", "?")) else "."
        self.exit(BAD_PARAMETERS, f"{message}{end} (python -m garfield.trainer --help lists the parameters.)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rank that the command line says; the exit code is that of `run_rank`."""
    parser = _Parser(
        prog="python -m garfield.trainer",
        description="Train as one rank of a cluster: a parameter server or a worker.",
        epilog="Start every rank with the same parameters but its own --rank; parameter servers come first, from 0. "
        "python -m garfield.catalog lists the rules and attacks with their options.",
        allow_abbrev=False,
    )
    settings.add_arguments(parser)
    return run_rank(vars(parser.parse_args(arguments)))


def run_rank(
    values: Mapping[str, Any],
    *,
    event_fd: int | None = None,
    control_fd: int | None = None,
    listen_fd: int | None = None,
    incarnation: int | None = None,
) -> int:
    """Be the rank that `values` (every parameter by name) say. Call it from the main thread.

    Events go to the pipe `event_fd`; without one the rank was started by hand and prints what happens. Control messages
    come from the pipe `control_fd`. A parameter server listens on the bound socket `listen_fd`, if given. `incarnation`
    counts from 1 how often this rank was started, where a launcher counts.

    Returns the exit code: 0 finished or stopped as asked, 1 crashed, 2 bad parameters, 3 lost a rank it needed. The
    caller ends the process with os._exit: threads that wait for a peer can't be joined.
    """
    writer = EventWriter(event_fd)
    try:
        values = _parsed(values)
    except settings.SettingError as error:
        print(error, file=sys.stderr, flush=True)
        return BAD_PARAMETERS
    findings = combinations.check(values)
    if values["resume"] and experiment.role_of(values, values["rank"]) == "ps":
        findings += checkpointfile.check(Path(values["resume"]).expanduser(), values)
    for finding in findings:
        if event_fd is None or finding.level == "error":
            print(f"{finding.level}: {finding.text}", file=sys.stderr, flush=True)
    if any(finding.level == "error" for finding in findings):
        return BAD_PARAMETERS
    if problem := _prepare_torch(values):
        print(f"error: {problem}", file=sys.stderr, flush=True)
        return BAD_PARAMETERS
    return _run(values, writer, event_fd is None, control_fd, listen_fd, incarnation)


def warm_up(dataset: str, model: str) -> None:
    """Import everything that a rank with `model` on `dataset` needs and use none of it, so that forks share it."""
    _before_torch()
    from garfield import datasets, models, server, worker  # noqa: F401

    datasets.import_packages(dataset)
    models.import_packages(model)


def _parsed(values: Mapping[str, Any]) -> dict[str, Any]:
    parsed = {name: settings.find_setting(name).parse(raw) for name, raw in values.items()}
    parsed = settings.defaults() | parsed
    addresses.split(parsed["master"])
    return parsed


def _before_torch() -> None:
    # c10d warns from C++ of every closed connection; that would fill the last lines of stderr. Read at torch's import.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # NCCL would end the process where it sees that a peer died, before anybody is told which.
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
    os.environ.setdefault("TORCH_NCCL_ENABLE_MONITORING", "0")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for repeatable products of matrices on a GPU
    # Each connection to a store asks for the name of its other end, which c10d logs; where a name server is slow or
    # drops such questions, a join takes the resolver's 5 seconds a try.
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")
    # numpy's BLAS would start threads on import, which no fork survives.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _prepare_torch(values: Mapping[str, Any]) -> str | None:
    """Set torch up for the rank; returns why it can't train here, in a sentence."""
    _before_torch()
    import torch

    from garfield import devices

    torch.set_num_threads(values["threads"] or _share_of_cores(values))
    torch.backends.cudnn.deterministic = True  # the same seed is to give the same run
    return devices.nccl_problem(values) if values["backend"] == "nccl" else None


def _share_of_cores(values: Mapping[str, Any]) -> int:
    """Cores of this host over the ranks on it."""
    return max(1, len(os.sched_getaffinity(0)) // len(neighbours(values)))


def _run(
    values: Mapping[str, Any],
    writer: EventWriter,
    by_hand: bool,
    control_fd: int | None,
    listen_fd: int | None,
    incarnation: int | None,
) -> int:
    from garfield import control
    from garfield.downloads import DataMissing
    from garfield.rank import Rank, RankLost, TrainingError
    from garfield.rendezvous import RendezvousError
    from garfield.report import Report
    from garfield.stopping import Stop
    from garfield.transport import Wake

    inbox: queue.SimpleQueue = queue.SimpleQueue()
    report = Report(values["rank"], writer, by_hand, values["log"], values["bench"])
    stop = Stop(lambda: inbox.put(Wake()))
    stop.on_signals(say=by_hand)
    rank = Rank(values, report, stop, inbox, listen_fd, incarnation)
    if control_fd is not None:
        control.listen(
            control_fd,
            {
                "finish": lambda _: stop.request(),
                "checkpoint": lambda _: rank.checkpoint_asked.set(),
                "attack": lambda message: rank.ask_to_attack(str(message.get("attack"))),
            },
        )
    try:
        if experiment.role_of(values, values["rank"]) == "ps":
            from garfield.server import serve

            serve(rank)
        else:
            from garfield.worker import work

            work(rank)
    except RankLost as error:
        report.failure(str(error), error.missing)
        return LOST_A_RANK
    except RendezvousError as error:
        report.failure(str(error), [0] if values["rank"] else [])
        return LOST_A_RANK if values["rank"] else CRASHED
    except (TrainingError, DataMissing) as error:
        report.failure(str(error), [])
        return CRASHED
    except Exception as error:  # a fault of ours or of torch: it is to be told as the rank's last word, too
        traceback.print_exc()
        report.failure(f"{type(error).__name__}: {error}", [])
        return CRASHED
    return FINISHED


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads that wait in gloo for a peer would keep the interpreter from ending, or crash its end.
    os._exit(code)
