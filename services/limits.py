"""How often somebody may do something, counted in windows that slide."""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

# What floating point may add to a count; so that who waits as long as told is let through.
_ROUNDING = 1e-6
# Up to this limit each use of a key is remembered with its time.
_EXACT_UP_TO = 64


@dataclass(slots=True)
class _Window:
    """What a key has used in the window that runs and in the one before it."""

    number: int
    used: int
    used_before: int


# Key, seconds of its window, whether it is counted exactly, uses.
Told = Callable[[str, float, bool, int], None]


class RateLimiter:
    """Counts uses of a key and says how long to wait once its limit is reached.

    A limit of up to 64 is exact: never more than `limit` uses within any `per_seconds`. Above, the count of the
    window before is carried over in proportion to how much of it still lies within the last `per_seconds`: two
    numbers a key instead of a time for each use. At most `limit` uses pass in an instant then; *not* promised is
    exactness to one use when uses came unevenly in the window before.

    At most `max_keys` keys are remembered; the one not seen for longest is forgotten first, so that a flood
    of addresses costs a bounded amount of memory and at worst forgives somebody.

    `told` hears of every use that is counted here, and of every key that is forgotten (0 uses), so that other processes
    can `take` them over: key, seconds of its window, whether it is counted exactly, uses.
    """

    def __init__(
        self, *, monotonic: Callable[[], float], max_keys: int = 100_000, told: Told | None = None
    ) -> None:
        self._monotonic = monotonic
        self._told = told
        self._max_keys = max_keys
        self._windows: OrderedDict[tuple[str, float], _Window] = OrderedDict()
        self._uses: OrderedDict[tuple[str, float], deque[float]] = OrderedDict()

    def check(self, key: str, *, limit: int, per_seconds: float) -> int | None:
        """Count one use of `key`.

        None when it may go on, else the milliseconds to wait (and nothing is counted).
        """
        wait_ms = self.peek(key, limit=limit, per_seconds=per_seconds)
        if wait_ms is not None:
            return wait_ms
        is_exact = limit <= _EXACT_UP_TO
        self._count(key, per_seconds, is_exact=is_exact)
        if self._told is not None:
            self._told(key, per_seconds, is_exact, 1)
        return None

    def take(self, key: str, per_seconds: float, *, is_exact: bool, uses: int) -> None:
        """What another process has told: so many uses just now, or that the key was forgotten."""
        if not uses:
            self._drop(key, per_seconds)
        for _ in range(uses):
            self._count(key, per_seconds, is_exact=is_exact)

    def _count(self, key: str, per_seconds: float, *, is_exact: bool) -> None:
        if is_exact:
            self._recent(key, per_seconds).append(self._monotonic())
        else:
            self._window(key, per_seconds).used += 1

    def peek(self, key: str, *, limit: int, per_seconds: float) -> int | None:
        """What `check` would say, without counting: for limits on failures, which are counted afterwards."""
        if limit <= _EXACT_UP_TO:
            uses = self._recent(key, per_seconds)
            if len(uses) < limit:
                return None
            freed_s = uses[-limit] + per_seconds if limit else self._monotonic() + per_seconds
            return max(1, math.ceil((freed_s - self._monotonic()) * 1000))
        window = self._window(key, per_seconds)
        fraction = self._monotonic() / per_seconds - window.number
        if window.used_before * (1 - fraction) + window.used + 1 <= limit + _ROUNDING:
            return None
        return max(1, math.ceil(self._windows_to_wait(window, fraction, limit) * per_seconds * 1000))

    def forget(self, key: str, *, per_seconds: float) -> None:
        """Start `key` afresh, for example after a sign-in that succeeded."""
        self._drop(key, per_seconds)
        if self._told is not None:
            self._told(key, per_seconds, True, 0)

    def _drop(self, key: str, per_seconds: float) -> None:
        self._windows.pop((key, per_seconds), None)
        self._uses.pop((key, per_seconds), None)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._windows) + len(self._uses)

    def _recent(self, key: str, per_seconds: float) -> deque[float]:
        """The times of the uses within the last `per_seconds`, oldest first."""
        uses = self._uses.setdefault((key, per_seconds), deque())
        self._uses.move_to_end((key, per_seconds))
        if len(self._uses) > self._max_keys:
            self._uses.popitem(last=False)
        while uses and uses[0] <= self._monotonic() - per_seconds + _ROUNDING:
            uses.popleft()
        return uses

    def _window(self, key: str, per_seconds: float) -> _Window:
        number = math.floor(self._monotonic() / per_seconds)
        window = self._windows.get((key, per_seconds))
        if window is None:
            window = self._windows[(key, per_seconds)] = _Window(number, 0, 0)
            if len(self._windows) > self._max_keys:
                self._windows.popitem(last=False)
            return window
        self._windows.move_to_end((key, per_seconds))
        if window.number < number:
            window.used_before = window.used if window.number == number - 1 else 0
            window.used = 0
            window.number = number
        return window

    @staticmethod
    def _windows_to_wait(window: _Window, fraction: float, limit: int) -> float:
        room = limit - 1 - window.used
        if room >= 0 and window.used_before:
            return max(0.0, 1 - room / window.used_before - fraction)
        if limit < 1:
            return 1.0
        return 1 - fraction + max(0.0, 1 - (limit - 1) / window.used)


class OpenStreams:
    """Sockets and event streams that are open, by person: here, and in other processes as far as they have told."""

    def __init__(self, told: Callable[[str, int], None] | None = None) -> None:
        self._told = told
        self._here: Counter[str] = Counter()
        self._elsewhere: Counter[str] = Counter()

    def of(self, person: str) -> int:
        """How many a person has open."""
        return self._here[person] + self._elsewhere[person]

    def change(self, person: str, by: int) -> None:
        """One was opened here, or closed."""
        _add(self._here, person, by)
        if self._told is not None:
            self._told(person, by)

    def take(self, person: str, by: int) -> None:
        """So many were opened elsewhere, or closed."""
        _add(self._elsewhere, person, by)


def _add(counts: Counter[str], person: str, by: int) -> None:
    counts[person] += by
    if counts[person] <= 0:
        del counts[person]
