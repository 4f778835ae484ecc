"""The jitter buffer: what it promises under every order, loss and delay of packets."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.jitter import SAMPLES_PER_MS, JitterBuffer, JitterConfig, Step, StepKind

TICK = 960
CELT_20_MS = bytes([0xF8])  # config 31, one frame: 20 ms
CELT_60_MS = bytes([0xFB, 3])  # three such frames


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A packet, and when it comes in ms."""

    number: int
    at_ms: float


def play(
    arrivals: list[Arrival],
    *,
    ticks: int,
    ptime_ms: int = 20,
    first_sequence: int = 0,
    first_timestamp: int = 0,
    buffer: JitterBuffer | None = None,
) -> tuple[JitterBuffer, list[tuple[int, Step]]]:
    """Push packets as they arrive and pull 20 ms at every 20 ms; steps with their output position."""
    buffer = buffer or JitterBuffer()
    body = CELT_20_MS if ptime_ms == 20 else CELT_60_MS
    waiting = sorted(arrivals, key=lambda arrival: arrival.at_ms)
    steps: list[tuple[int, Step]] = []
    produced = 0
    for tick in range(ticks):
        while waiting and waiting[0].at_ms <= tick * 20:
            number = waiting.pop(0).number
            buffer.push(
                body + number.to_bytes(4, "big"),
                sequence=(first_sequence + number) & 0xFFFF,
                timestamp=(first_timestamp + number * ptime_ms * SAMPLES_PER_MS) & 0xFFFFFFFF,
                ssrc=7,
            )
        while produced < (tick + 1) * TICK:
            step = buffer.next((tick + 1) * TICK - produced)
            steps.append((produced, step))
            produced += step.samples - step.shrink
            if step.shrink:
                buffer.shrunk(step.shrink)
        buffer.backlog_samples = produced - (tick + 1) * TICK
    return buffer, steps


def played(steps: list[tuple[int, Step]]) -> list[int]:
    return [int.from_bytes(step.payload[-4:], "big") for _, step in steps if step.kind is StepKind.PLAY]


def steady(count: int, *, ptime_ms: int = 20) -> list[Arrival]:
    return [Arrival(number=number, at_ms=number * ptime_ms) for number in range(count)]


@pytest.mark.parametrize("ptime_ms", [20, 60])
def test_a_steady_stream_is_played_whole_and_without_concealment(ptime_ms: int) -> None:
    count = 1200 // ptime_ms
    buffer, steps = play(steady(count, ptime_ms=ptime_ms), ticks=80, ptime_ms=ptime_ms)
    assert played(steps) == list(range(count))
    first = next(at for at, step in steps if step.kind is StepKind.PLAY)
    assert first == 60 * SAMPLES_PER_MS
    within = [step for at, step in steps if first <= at < first + 1200 * SAMPLES_PER_MS]
    assert all(step.kind is StepKind.PLAY for step in within)
    assert buffer.pending_samples == 0


@pytest.mark.parametrize(
    ("first_sequence", "first_timestamp"), [(65_530, 0), (0, 2**32 - 4800), (65_535, 2**32 - 960)]
)
def test_sequence_and_timestamp_may_wrap_around(first_sequence: int, first_timestamp: int) -> None:
    _, steps = play(steady(50), ticks=70, first_sequence=first_sequence, first_timestamp=first_timestamp)
    assert played(steps) == list(range(50))


def test_a_reordered_packet_is_put_back_in_its_place() -> None:
    arrivals = steady(50)
    arrivals[20], arrivals[21] = Arrival(number=20, at_ms=425), Arrival(number=21, at_ms=420)
    buffer, steps = play(arrivals, ticks=70)
    assert played(steps) == list(range(50))
    assert buffer.counters.late == 0


def test_a_duplicate_is_played_once() -> None:
    _, steps = play([*steady(50), *steady(50)], ticks=70)
    assert played(steps) == list(range(50))


def test_a_lost_packet_is_recovered_from_the_one_behind_it() -> None:
    arrivals = [arrival for arrival in steady(50) if arrival.number != 20]
    buffer, steps = play(arrivals, ticks=70)
    recovered = [step for _, step in steps if step.kind is StepKind.RECOVER]
    assert [step.samples for step in recovered] == [TICK]
    assert buffer.counters.lost == 1
    assert played(steps) == [number for number in range(50) if number != 20]


def test_a_burst_loss_of_200_ms_keeps_everything_behind_it_in_place() -> None:
    arrivals = [arrival for arrival in steady(100) if not 20 <= arrival.number < 30]
    buffer, steps = play(arrivals, ticks=120)
    positions = {
        int.from_bytes(step.payload[-4:], "big"): at for at, step in steps if step.kind is StepKind.PLAY
    }
    assert positions[30] - positions[19] == 11 * TICK
    assert buffer.counters.lost == 10


def test_discontinuous_transmission_is_a_pause_and_no_loss() -> None:
    buffer = JitterBuffer()
    for number in range(20):
        buffer.push(CELT_20_MS, sequence=number, timestamp=number * TICK, ssrc=7)
    steps = [buffer.next(TICK) for _ in range(40)]
    buffer.push(CELT_20_MS, sequence=20, timestamp=45 * TICK, ssrc=7)
    steps += [buffer.next(TICK) for _ in range(20)]
    assert sum(step.kind is StepKind.PLAY for step in steps) == 21
    assert buffer.counters.lost == 0


def test_a_sender_that_pauses_is_heard_as_comfort_noise_until_its_next_packet() -> None:
    buffer = JitterBuffer()
    for number in range(10):
        body = CELT_20_MS + b"voice" if number < 9 else CELT_20_MS
        buffer.push(body, sequence=number, timestamp=number * TICK, ssrc=7)
    steps = [buffer.next(TICK) for _ in range(30)]
    buffer.push(CELT_20_MS, sequence=10, timestamp=29 * TICK, ssrc=7)
    steps += [buffer.next(TICK) for _ in range(60)]
    kinds = [step.kind for step in steps]
    assert kinds[13:32] == [StepKind.CONCEAL] * 19
    assert kinds[32] is StepKind.PLAY
    assert kinds[63:] == [StepKind.SILENCE] * 27
    assert buffer.counters.concealed_samples == 0


def test_a_late_packet_makes_the_delay_grow_and_is_still_played() -> None:
    arrivals = [
        Arrival(number=arrival.number, at_ms=arrival.at_ms + (110 if arrival.number >= 50 else 0))
        for arrival in steady(150)
    ]
    buffer, steps = play(arrivals, ticks=180)
    assert played(steps) == list(range(150))
    assert 50 * SAMPLES_PER_MS <= buffer.counters.stretched_samples <= 140 * SAMPLES_PER_MS


def test_the_delay_stays_below_its_limit_whatever_the_jitter() -> None:
    chance = random.Random(5)
    arrivals = [
        Arrival(number=arrival.number, at_ms=arrival.at_ms + chance.uniform(0, 400))
        for arrival in steady(1500)
    ]
    buffer, steps = play(arrivals, ticks=1600, buffer=JitterBuffer(config=JitterConfig(max_delay_ms=200)))
    delays = [
        at - int.from_bytes(step.payload[-4:], "big") * TICK
        for at, step in steps
        if step.kind is StepKind.PLAY
    ]
    assert max(delays[200:]) <= (200 + 60 + 20) * SAMPLES_PER_MS
    assert buffer.counters.late > 0


def test_a_publisher_that_catches_up_loses_nothing_and_its_delay_goes_back() -> None:
    burst = [Arrival(number=number, at_ms=0) for number in range(50)]
    rest = [Arrival(number=number, at_ms=(number - 50) * 20 + 20) for number in range(50, 3000)]
    buffer, steps = play([*burst, *rest], ticks=3100)
    assert played(steps) == list(range(3000))
    assert buffer.counters.overflowed == 0
    last_at = next(at for at, step in reversed(steps) if step.kind is StepKind.PLAY)
    assert last_at / SAMPLES_PER_MS - (3000 - 50) * 20 < 200


@pytest.mark.parametrize("ppm", [-300, 300])
@pytest.mark.parametrize("ptime_ms", [20, 60])
def test_clock_drift_neither_grows_the_delay_nor_loses_packets(ppm: int, ptime_ms: int) -> None:
    seconds = 600
    count = seconds * 1000 // ptime_ms
    arrivals = [Arrival(number=number, at_ms=number * ptime_ms * (1 - ppm / 1e6)) for number in range(count)]
    buffer, steps = play(arrivals, ticks=seconds * 50 + 20, ptime_ms=ptime_ms)
    assert played(steps) == list(range(count))
    assert buffer.counters.late == 0
    last_at = next(at for at, step in reversed(steps) if step.kind is StepKind.PLAY)
    assert 0 <= last_at / SAMPLES_PER_MS - arrivals[-1].at_ms <= 160


def test_a_new_ssrc_goes_on_behind_what_is_queued() -> None:
    buffer = JitterBuffer()
    for number in range(5):
        buffer.push(CELT_20_MS + b"a", sequence=number, timestamp=number * TICK, ssrc=1)
    for number in range(5):
        buffer.push(CELT_20_MS + b"b", sequence=9000 + number, timestamp=77 + number * TICK, ssrc=2)
    steps = [buffer.next(TICK) for _ in range(20)]
    assert [step.payload[-1:] for step in steps if step.kind is StepKind.PLAY] == [b"a"] * 5 + [b"b"] * 5


def test_one_stray_timestamp_is_dropped_and_two_move_the_timeline() -> None:
    buffer = JitterBuffer()
    for number in range(5):
        buffer.push(CELT_20_MS, sequence=number, timestamp=number * TICK, ssrc=1)
    assert not buffer.push(CELT_20_MS, sequence=5, timestamp=90_000_000, ssrc=1)
    assert buffer.push(CELT_20_MS, sequence=6, timestamp=5 * TICK, ssrc=1)
    assert not buffer.push(CELT_20_MS, sequence=7, timestamp=90_000_000, ssrc=1)
    assert buffer.push(CELT_20_MS, sequence=8, timestamp=90_000_960, ssrc=1)
    assert buffer.counters.resets == 1


def test_a_sender_whose_clock_stood_still_goes_on_without_delay() -> None:
    buffer = JitterBuffer()
    for number in range(10):
        buffer.push(CELT_20_MS, sequence=number, timestamp=number * TICK, ssrc=1)
    for _ in range(500):  # 10 s of a sleeping browser
        buffer.next(TICK)
    kinds = []
    for number in range(10, 30):
        buffer.push(CELT_20_MS, sequence=number, timestamp=number * TICK, ssrc=1)
        kinds.append(buffer.next(TICK).kind)
    assert kinds.count(StepKind.PLAY) >= 15


packet_fields = st.tuples(
    st.binary(max_size=8),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 3),
    st.integers(0, 4),
)


@given(st.lists(packet_fields, max_size=300))
@settings(max_examples=150, deadline=None)
def test_nothing_that_a_sender_does_breaks_order_or_bounds(
    fields: list[tuple[bytes, int, int, int, int]],
) -> None:
    config = JitterConfig(max_packets=32)
    buffer = JitterBuffer(config=config)
    for payload, sequence, timestamp, ssrc, pulls in fields:
        buffer.push(payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc)
        assert len(buffer._queue) <= 32
        assert buffer.pending_samples <= (3 * config.max_hold_ms) * SAMPLES_PER_MS
        for _ in range(pulls):
            step = buffer.next(TICK)
            assert 0 < step.samples <= 5760
            assert step.skip >= 0
            assert step.shrink >= 0


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 0.2),
    st.floats(0, 0.3),
    st.floats(0, 60),
    st.sampled_from([20, 60]),
)
@settings(max_examples=60, deadline=None)
def test_what_arrives_in_time_is_played_once_and_in_order(
    seed: int, loss: float, reorder: float, jitter_ms: float, ptime_ms: int
) -> None:
    chance = random.Random(seed)
    count = 6000 // ptime_ms
    arrivals = [
        Arrival(
            number=number,
            at_ms=number * ptime_ms
            + chance.uniform(0, jitter_ms)
            + (chance.uniform(0, 40) if chance.random() < reorder else 0),
        )
        for number in range(count)
        if number == 0 or chance.random() >= loss
    ]
    buffer, steps = play(arrivals, ticks=330, ptime_ms=ptime_ms, first_sequence=seed & 0xFFFF)
    numbers = played(steps)
    assert numbers == sorted(set(numbers))
    assert len(numbers) + buffer.counters.late >= len(arrivals)
    assert buffer.counters.late <= max(3, 0.03 * len(arrivals))
    length_ms = steps[-1][0] / SAMPLES_PER_MS
    assert abs(length_ms - 330 * 20) <= 100
