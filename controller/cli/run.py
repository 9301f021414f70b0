"""python -m controller run: a launch, followed to its end."""

from __future__ import annotations

import argparse
import time

from controller.cli import interruptible, terminal
from controller.cli.follow import follow, refuse
from controller.draft import Draft, assignments
from controller.hostsfile import HostsFile, HostsFileError
from controller.liverun import LiveRun
from controller.runs import label
from garfield.settings import SettingError


def main(options: argparse.Namespace) -> int:
    """Plan, launch and follow a run; the exit code."""
    try:
        file = HostsFile.open(options.file)
        draft = Draft(file, options.preset, assignments(options.set))
        plan = draft.plan()
    except (HostsFileError, SettingError) as error:
        return refuse(options, [str(error)])
    if not plan.ok:
        in_file = {problem.text for problem in file.problems}
        said = [f"{options.file}: {text}" if text in in_file else text for text in (f.text for f in plan.errors)]
        return refuse(options, said)
    name = options.name or draft.run_name(time.time())
    if why := label.why_not(name, options.note):
        return refuse(options, [why])
    run = LiveRun(
        plan,
        name=name,
        note=options.note,
        hosts_text=file.text(),
        prompter=terminal.ask,
    )
    head = [f"run {run.run_id}: {plan.summary()}", *(f"! {finding.text}" for finding in plan.findings)]
    return interruptible.run(follow(run, head, options))
