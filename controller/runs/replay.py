"""A recorded run, looked at as of any moment of it: what the screens hold in place of a LiveRun."""

from __future__ import annotations

import os
import pickle
import tempfile
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.feed import Record, Subscriber
from controller.liverun import RunRefused
from controller.runs import eventfiles
from controller.runs.eventfiles import LONGEST_LINE, bad_lines, read_segment, record_of, segments
from controller.runs.library import read_run
from controller.state import RunState

FRAMES = 64  # at most so many saved states
SPACING = 500  # records between two of them at the least
RECORD_BYTES = 400  # about, of one record; packed a quarter of that or less
BATCH = 50  # records between two words on how far a reading is
PATIENCE = 0.005  # seconds that others may be kept from going on while a saved state is written
PIECE = 256 << 10  # bytes of a saved state that are unpacked at once
LEAP = 2_000  # records that take longer to apply than a saved state takes to load
EXAMPLE = Path(__file__).with_name("example")  # a run that comes with the program, made by tests/example.py
WHY_NOT = "This is a recording: nothing can be done to its ranks."


@dataclass(frozen=True)
class _Frame:
    """The state after `records` records, of which the newest came at `time`; the next one is at (`segment`, `offset`).

    `place` is where it lies, packed, in the file of frames: its start and size.
    """

    records: int
    time: float
    segment: int
    offset: int
    place: Future[tuple[int, int]]


class ReplayRun:
    """The run recorded in `folder`. It looks like a LiveRun, but acts on it are refused.

    `index` reads it once, from its beginning to its end, and saves the state now and then: in a file of ours that has
    no name, not in the folder, as a saved state is trusted when it is read again. `seek` loads the state saved before a
    moment and applies what came between. What is damaged in the folder is left out, and told in `damage`.
    """

    running = False

    def __init__(self, folder: Path) -> None:
        self.folder, self.info = folder, read_run(folder)
        self.run_id = self.info.id
        self.state = RunState()
        self.damage: list[str] = []
        self.time = self.start = self.end = 0.0  # Unix seconds: of the state, of the first record, of the last
        self._paths = segments(folder)
        self._applied = 0
        self._segment = self._offset = 0  # where the next record is
        self._indexed = False
        self._loaded: tuple[int, bytes] = (-1, b"")
        self._bad: dict[int, int] = {}  # lines of each segment that are no record
        self._ends: dict[int, int] = {}  # where segments that hold too many of these are left
        self._saved = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as we do
        self._packer = ThreadPoolExecutor(1, "frames")  # packing takes four times as long as all else of a frame
        self._frames: list[_Frame] = []
        self._spacing = max(SPACING, sum(map(_size, self._paths)) // RECORD_BYTES // FRAMES)
        self._steps, self._step_times = array("q"), array("d")  # when the run got to each step first
        self._subscribers: list[Subscriber] = []

    @classmethod
    def open(cls, folder: Path) -> ReplayRun:
        """The run in `folder`, read to its end, at which it then stands."""
        replay = cls(folder)
        for _ in replay.index():
            pass
        return replay

    def close(self) -> None:
        """Give the saved states up."""
        self._packer.shutdown(cancel_futures=True)
        self._saved.close()

    def index(self) -> Iterator[float]:
        """Read the whole run; yields how much of it is read, 0 to 1, so that others can go on between."""
        self._save()
        while (record := self._next()) is not None:
            self._take(record)
            if self._applied == 1:
                self.start = self.time
            step = self.state.now.step
            if step > (self._steps[-1] if self._steps else 0):
                self._steps.append(step)
                self._step_times.append(self.time)
            if self._applied % self._spacing == 0:
                yield from self._packing()
                self._save()
            if self._applied % BATCH == 0:
                yield self._read_share()
        yield from self._packing()
        self._save()  # the end is sought most
        yield from self._packing()
        self.end, self._indexed = self.time, True
        self.damage += [bad_lines(self._paths[segment], bad) for segment, bad in self._bad.items()]
        yield 1.0

    def seek(self, time: float) -> None:
        """Stand where the run stood at `time` (Unix seconds), after every record that had come by then."""
        for _ in self.seeking(time):
            pass

    def seeking(self, time: float) -> Iterator[None]:
        """As `seek`, but in pieces, so that others can go on between: the state is on its way there meanwhile."""
        frame = self._saved_before(time)
        if not (self.time <= time and frame.records <= self._applied):
            yield from self._load(frame)
        while len(self._go_on(time, BATCH)) == BATCH:
            yield

    def time_of(self, step: int) -> float:
        """When the run first got to `step` (Unix seconds); its end if it never did."""
        place = bisect_left(self._steps, step)
        return self._step_times[place] if place < len(self._steps) else self.end

    def play(self, until: float, most: int | None = None) -> Sequence[Record]:
        """Go on to the moment `until`, or by `most` records, telling subscribers what came meanwhile; returns that."""
        batch = self._go_on(until, most)
        for callback in list(self._subscribers) if batch else ():
            callback(batch)
        return batch

    def leaping(self, until: float) -> Iterator[None]:
        """Stand where the last state was saved before `until`, if that is much further on than here; in pieces.

        The state is as if all between had been applied; subscribers are not told of that. Until the last piece it is
        the one before: whoever goes elsewhere meanwhile leaves the rest.
        """
        frame = self._saved_before(until)
        if frame.records >= self._applied + LEAP:
            yield from self._load(frame)

    # As a LiveRun

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback` with the records of each `play`; the result ends that. After a seek, read `state` anew."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    async def act(self, rank: int, act: str, attack: str | None = None) -> None:
        raise RunRefused(WHY_NOT)

    async def stop(self, kill: bool = False) -> None:
        raise RunRefused(WHY_NOT)

    # Reading

    def _go_on(self, until: float, most: int | None = None) -> list[Record]:
        """Apply every record that had come at `until`, or the first `most` of them; returns them."""
        taken: list[Record] = []
        while True:
            if len(taken) == most:
                return taken
            here = self._segment, self._offset
            record = self._next()
            if record is None:
                break
            if max(self.time, _received(record)) > until:
                self._segment, self._offset = here
                break
            self._take(record)
            taken.append(record)
        self.time = max(self.time, min(until, self.end))
        return taken

    def _take(self, record: Record) -> None:
        self.state.apply(record)
        self._applied += 1
        self.time = max(self.time, _received(record))

    def _next(self) -> Record | None:
        """The next record that is one; None at the end of the run."""
        while self._segment < len(self._paths):
            data = self._data(self._segment)
            while self._offset < self._ends.get(self._segment, len(data)):
                end = data.find(b"\n", self._offset) + 1 or len(data)
                line = data[self._offset : end]
                self._offset = end
                record = record_of(line) if len(line) <= LONGEST_LINE else None
                if record is not None:
                    return record
                self._count_bad()
            self._segment, self._offset = self._segment + 1, 0
        return None

    def _count_bad(self) -> None:
        """The line before this place is no record; told of once, when all is read first."""
        if not self._indexed:
            bad = self._bad[self._segment] = self._bad.get(self._segment, 0) + 1
            if bad > eventfiles.MOST_BAD:
                self._ends[self._segment] = self._offset

    def _data(self, number: int) -> bytes:
        """The lines of a segment; the last one that was asked for is kept."""
        if self._loaded[0] != number:
            data, damage = read_segment(self._paths[number])
            self._loaded = (number, data)
            if damage and damage not in self.damage:
                self.damage.append(damage)
        return self._loaded[1]

    def _read_share(self) -> float:
        size = max(1, len(self._loaded[1]))
        return (self._segment + self._offset / size) / max(1, len(self._paths))

    # Saved states

    def _save(self) -> None:
        """Save the state; packing goes on in a thread."""
        place = self._packer.submit(self._pack, pickle.dumps(self.state, pickle.HIGHEST_PROTOCOL))
        self._frames.append(_Frame(self._applied, self.time, self._segment, self._offset, place))
        if len(self._frames) > FRAMES:
            del self._frames[1::2]  # the first stays: it is the empty state
            self._spacing *= 2

    def _saved_before(self, time: float) -> _Frame:
        """The newest saved state of `time` or before; the first one where there is none."""
        return self._frames[max(0, bisect_right(self._frames, time, key=lambda frame: frame.time) - 1)]

    def _packing(self) -> Iterator[float]:
        """Go on when the last saved state is written: on a slow disk, states that wait for it would fill the memory.

        Yields as `index`. Raises OSError when it could not be written.
        """
        place = self._frames[-1].place
        while wait([place], PATIENCE).not_done:
            yield self._read_share()
        place.result()

    def _pack(self, pickled: bytes) -> tuple[int, int]:
        packed = zlib.compress(pickled, 1)
        start = self._saved.seek(0, os.SEEK_END)
        self._saved.write(packed)
        self._saved.flush()
        return start, len(packed)

    def _load(self, frame: _Frame) -> Iterator[None]:
        """Take over a saved state, in pieces."""
        start, size = frame.place.result()
        unpacker, pickled = zlib.decompressobj(), bytearray()
        packed = os.pread(self._saved.fileno(), size, start)
        while not unpacker.eof:
            pickled += unpacker.decompress(packed, PIECE)
            packed = unpacker.unconsumed_tail
            yield
        state: Any = pickle.loads(pickled)
        self.state = state
        self._applied, self.time = frame.records, frame.time
        self._segment, self._offset = frame.segment, frame.offset


def _size(path: Path) -> int:
    """About how many bytes of records an event file holds; 0 where it can't be looked at."""
    try:
        return path.stat().st_size * (4 if path.suffix == ".gz" else 1)
    except OSError:
        return 0


def _received(record: Record) -> float:
    """When it came; 0 where the record doesn't say."""
    received = record.get("received")
    return received if isinstance(received, float | int) else 0.0
