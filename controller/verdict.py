"""How a run stands, by what is known of it: going on, or over and why. Pure, so that the policy can be tested."""

from __future__ import annotations

from dataclasses import dataclass

from controller.state import FALLEN, Now, RankNow


@dataclass(frozen=True)
class Verdict:
    """The run is over: `outcome` is finished, stopped or failed; `settled` when no word of a rank can change it."""

    outcome: str
    settled: bool


def verdict(now: Now) -> Verdict | None:
    """Whether the run is over; None while it goes on.

    It is finished when the PSs that survive have ended so and the workers left; stopped when ranks were told to stop,
    by whomever; failed when more workers or more PSs fell than it can do without.
    """
    servers, workers = now.servers(), now.workers()
    if not servers:
        return None
    ended = [server for server in servers if not server.alive]
    if len(ended) == len(servers):
        surviving = [server for server in servers if server.state not in FALLEN]
        if not surviving:
            return Verdict("failed", _explained(now, servers))
        left = all(_over(rank) for rank in (*surviving, *workers))
        return Verdict("finished" if all(s.state == "finished" for s in surviving) else "stopped", left)
    for ranks, needed in ((workers, now.quorum), (servers, now.server_quorum)):
        fallen = sum(rank.state in FALLEN for rank in ranks)
        if fallen and len(ranks) - fallen < (len(ranks) if needed is None else needed):
            return Verdict("failed", False)
    return None


def _explained(now: Now, servers: list[RankNow]) -> bool:
    """The ends of the ranks that the PSs blame are known; a process of many pages takes a while to be gone."""
    blamed = {rank for server in servers for rank in server.missing}
    return not any(now.ranks[rank].alive for rank in blamed if rank in now.ranks)


def _over(rank: RankNow) -> bool:
    """Nothing more is to be heard of `rank`: it exited, or its host is gone."""
    return rank.exit is not None or rank.state in FALLEN
