"""What the words of a command mean: which hosts file, which run, and which of several that go on."""

from __future__ import annotations

from controller import moments, paths
from controller.cli.asking import agrees, can_ask
from controller.cli.refused import Refused
from controller.hosts import Host
from controller.hostsfile import HostsFile, HostsFileError
from controller.origin import origin_text
from controller.runs import RunInfo, find_runs, hosts_file, list_runs
from controller.survey import Found, Survey

DEFAULT_FILE = "hosts.toml"


def file_and_run(*words: str | None) -> tuple[str | None, str | None]:
    """The hosts file and the run among `words`, two at the most: a hosts file is told by its ending. Raises Refused."""
    given = [word for word in words if word is not None]
    files = [word for word in given if word.endswith(".toml")]
    runs = [word for word in given if not word.endswith(".toml")]
    if len(files) > 1 or len(runs) > 1:
        raise Refused("It takes one hosts file (NAME.toml) and one run at the most.", 2)
    return files[0] if files else None, runs[0] if runs else None


def hosts_of(file: str | None, run: str | None = None) -> list[Host]:
    """The hosts to ask: of `file`; else those that the recorded `run` was launched on; else of hosts.toml.

    Raises Refused.
    """
    try:
        opened = (file is None and run is not None and _recorded_file(run)) or HostsFile.open(file or DEFAULT_FILE)
    except HostsFileError as error:
        raise Refused(str(error)) from None
    hosts = [host for host in opened.hosts if host.enabled]
    if not hosts:
        raise Refused(f"{opened.path} has no host that is switched on, so there is nobody to ask.")
    return hosts


def _recorded_file(run: str) -> HostsFile | None:
    """The hosts file that the one recorded run of this id or name was launched from, if there is one."""
    recorded = find_runs(run)
    return hosts_file(recorded[0]) if len(recorded) == 1 else None


def recorded_runs(word: str | None) -> list[RunInfo]:
    """The runs recorded on this machine that `word` may mean, newest first; the newest one if it is None.

    Raises Refused where there is none.
    """
    found = list_runs()[:1] if word is None else find_runs(word) or _named_so(word)
    if not found:
        which = f"No run {word} is" if word else "No run is"
        raise Refused(f"{which} recorded in {paths.runs_dir()}; python -m controller runs lists what is.")
    return found


def _named_so(word: str) -> list[RunInfo]:
    return [run for run in list_runs() if run.name.startswith(word)]


def recorded_run(word: str | None) -> RunInfo:
    """The one run that `recorded_runs` finds. Raises Refused, also where there are several."""
    found = recorded_runs(word)
    if len(found) > 1:
        several = "\n".join(f"  {run.id}  {run.name}  {run.end}" for run in found)
        raise Refused(f"{word} may mean several runs; say which one by its id.\n{several}")
    return found[0]


def the_run(survey: Survey, word: str | None, command: str) -> Found:
    """The one run that is meant. Raises Refused where there is none, or several.

    `command` is what to type with the run's id in place of RUN.
    """
    run = run_if_any(survey, word, command)
    if run is None:
        raise Refused(nothing_runs(survey))
    return run


def run_if_any(survey: Survey, word: str | None, command: str) -> Found | None:
    """As `the_run`, but None when nothing goes on and none was named."""
    meant = survey.meant(word)
    if not meant and word:
        raise Refused(f"There is no run {word} {_where(survey)}.{_ended(word)}")
    if len(meant) > 1:
        several = "\n".join(
            f"  {run.run}  {run.name or '–'}  of {run.origin}, on {', '.join(run.hosts())}" for run in meant
        )
        raise Refused(f"Several runs go on; say which one: python -m controller {command}\n{several}")
    return meant[0] if meant else None


def _ended(word: str) -> str:
    """How the one recorded run that `word` means ended; empty where that isn't known."""
    recorded = find_runs(word)
    if len(recorded) != 1 or recorded[0].outcome not in ("finished", "stopped", "failed"):
        return ""
    (run,) = recorded
    at = run.started + run.seconds if run.started is not None and run.seconds is not None else None
    when = f", at {moments.told(at, '%Y-%m-%d %H:%M:%S')}" if at is not None else ""
    return f" As it is recorded here, {run.id} {'was ' * (run.outcome == 'stopped')}{run.outcome}{when}."


def nothing_runs(survey: Survey) -> str:
    """The sentence for a survey that found no run."""
    return f"Nothing runs {_where(survey)}."


def _where(survey: Survey) -> str:
    return f"on {', '.join(survey.visits)}" if survey.visits else "on any host that could be asked"


def facts(run: Found) -> str:
    """Which run it is, who launched it where, and how far it is."""
    ranks = run.ranks()
    far = f"{len(run.alive)} of {len(ranks)} ranks alive" if ranks else "without a rank yet"
    if run.steps:
        far += f", step {min(run.steps)}"
    since = f" since {moments.told(run.started, '%Y-%m-%d %H:%M:%S')}" if run.started else ""
    which = f"{run.name} ({run.run})" if run.name else run.run
    return f"{which} of {run.origin} on {', '.join(run.hosts())}{since}, {far}"


async def may_act(run: Found, doing: str, yes: bool, named: bool) -> bool:
    """Whether to act on `run`: one that was launched from here at once, any other only when that is confirmed.

    Several people may share a user: of one that is not recorded here, but launched by the same user of the same
    machine, it is enough to have `named` it where nobody can be asked. Raises Refused where that isn't enough.
    """
    if run.mine or yes:
        return True
    ours = run.origin == origin_text()
    unrecorded = f"it isn't recorded in {paths.runs_dir()}, so it may be someone else's"
    why = unrecorded if ours else "it was not launched from here"
    if can_ask():
        return await agrees(f"{facts(run)}; {why}: {doing}?")
    if ours and named:
        return True
    raise Refused(f"{facts(run)}; {why}; to {doing} all the same, {'say its id or ' * ours}add --yes.")
