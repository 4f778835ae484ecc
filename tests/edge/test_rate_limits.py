"""The rate limiter, by an injected clock."""

from hypothesis import given
from hypothesis import strategies as st

from services.limits import RateLimiter
from tests.edge.house import Clock


def test_the_limit_passes_and_one_more_is_refused() -> None:
    limiter = RateLimiter(monotonic=Clock())
    assert [limiter.check("a", limit=3, per_seconds=60) for _ in range(3)] == [None] * 3
    assert limiter.check("a", limit=3, per_seconds=60) is not None
    assert limiter.check("b", limit=3, per_seconds=60) is None


@given(
    uses=st.lists(st.floats(0, 100, allow_nan=False), max_size=40),
    limit=st.sampled_from([1, 2, 3, 10, 64, 65, 100]),
)
def test_who_waits_as_long_as_told_may_go_on_and_not_much_sooner(uses: list[float], limit: int) -> None:
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    for seconds in uses:
        clock.now_s += seconds
        limiter.check("a", limit=limit, per_seconds=60)
    while (wait_ms := limiter.peek("a", limit=limit, per_seconds=60)) is None:
        limiter.check("a", limit=limit, per_seconds=60)
    clock.now_s += (wait_ms - 2) / 1000
    assert wait_ms <= 2 or limiter.peek("a", limit=limit, per_seconds=60) is not None
    clock.now_s += 0.003
    assert limiter.check("a", limit=limit, per_seconds=60) is None


@given(pauses=st.lists(st.floats(0, 30, allow_nan=False), max_size=60), limit=st.integers(1, 6))
def test_a_small_limit_is_never_exceeded_within_any_window(pauses: list[float], limit: int) -> None:
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    passed = []
    for seconds in pauses:
        clock.now_s += seconds
        if limiter.check("a", limit=limit, per_seconds=60) is None:
            passed.append(clock.now_s)
    for begin, end in zip(passed, passed[limit:], strict=False):
        assert end - begin >= 60 - 1e-5


def test_a_burst_before_a_border_leaves_nothing_after_it() -> None:
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    clock.now_s = 1_000 * 900 - 1
    assert [limiter.check("a", limit=10, per_seconds=900) for _ in range(10)] == [None] * 10
    clock.now_s += 898
    assert limiter.check("a", limit=10, per_seconds=900) == 2_000
    clock.now_s += 2
    assert limiter.check("a", limit=10, per_seconds=900) is None


def test_a_look_counts_nothing() -> None:
    limiter = RateLimiter(monotonic=Clock())
    for _ in range(10):
        assert limiter.peek("a", limit=1, per_seconds=60) is None
    assert limiter.check("a", limit=1, per_seconds=60) is None
    assert limiter.peek("a", limit=1, per_seconds=60) is not None


def test_a_forgotten_key_starts_afresh() -> None:
    limiter = RateLimiter(monotonic=Clock())
    limiter.check("a", limit=1, per_seconds=60)
    limiter.forget("a", per_seconds=60)
    assert limiter.check("a", limit=1, per_seconds=60) is None


def test_two_minutes_later_all_is_forgiven() -> None:
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    assert [limiter.check("a", limit=5, per_seconds=60) for _ in range(6)][-1] is not None
    clock.now_s += 120
    assert [limiter.check("a", limit=5, per_seconds=60) for _ in range(5)] == [None] * 5


def test_a_flood_of_keys_holds_a_bounded_number_of_them() -> None:
    limiter = RateLimiter(monotonic=Clock(), max_keys=100)
    for number in range(1_000):
        limiter.check(f"address:{number}", limit=1, per_seconds=60)
    assert len(limiter) == 100
    assert limiter.check("address:999", limit=1, per_seconds=60) is not None


def test_a_limit_of_nothing_lets_nothing_pass() -> None:
    assert RateLimiter(monotonic=Clock()).check("a", limit=0, per_seconds=60) is not None
