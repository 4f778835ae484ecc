"""What speech becomes on a bad network: the receive path with its real decoder and mixer, in simulated time."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from media.jitter import IN_CONVERSATION, JitterConfig, JitterCounters
from media.mixer import Mixer
from media.publisher import Publisher
from media.voice import TICK_SAMPLES, Voice
from tests.media.network import Network
from tests.media.sound import SAMPLE_RATE_HZ, Signal, opus_packets
from tests.media.speech import Heard, compare, speech

pytestmark = pytest.mark.needs_espeak

TICK_MS = 20
BAD = Network(loss=0.05, reordered=0.1, burst_ms=200, jitter_ms=10)
# What a browser sends for one voice.
BIT_RATE = 32_000
THREE_HOURS_S = 3 * 60 * 60
MOST_APART_S = 0.05
LONGEST_DELAY_S = 0.3


def encoded(said: Signal, ptime_ms: int) -> list[bytes]:
    """As browsers encode a voice: for speech, with a copy of each packet in the next."""
    return opus_packets(said, ptime_ms=ptime_ms, bit_rate=BIT_RATE, fec=True, application="voip")


@dataclass
class Reception:
    """A room's ear for one publisher. `heard` keeps the ticks that are asked for."""

    config: JitterConfig
    ticks: int = 0
    heard: dict[int, Signal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.publisher = Publisher(
            participant_id="p", muted=False, on_first_packet=lambda: None, jitter=self.config
        )
        self._mixer = Mixer()

    def tick(self, *, keep: bool) -> None:
        pcm = self.publisher.pull()
        mixed = self._mixer.mix([pcm] if pcm is not None else [])
        if keep:
            self.heard[self.ticks] = mixed if mixed is not None else np.zeros(TICK_SAMPLES, np.float32)
        self.ticks += 1

    @property
    def counters(self) -> JitterCounters:
        assert isinstance(self.publisher._source, Voice)
        return self.publisher._source.jitter.counters


def receive(
    packets: list[bytes],
    network: Network,
    *,
    ptime_ms: int,
    count: int | None = None,
    windows_s: tuple[tuple[float, float], ...] = ((0, 1e9),),
    config: JitterConfig | None = None,
) -> Reception:
    """Send packets, over and over until there were `count`, and listen until all was heard."""
    reception = Reception(config or JitterConfig())
    for arrival in network.carry(count or len(packets), ptime_ms=ptime_ms):
        while reception.ticks * TICK_MS < arrival.at_ms:
            at_s = reception.ticks * TICK_MS / 1000
            reception.tick(keep=any(start_s <= at_s < end_s for start_s, end_s in windows_s))
        reception.publisher.on_packet(
            packets[arrival.number % len(packets)],
            sequence=arrival.number & 0xFFFF,
            timestamp=arrival.number * ptime_ms * 48 & 0xFFFFFFFF,
            ssrc=1,
        )
    while not reception.publisher.drained:
        reception.tick(keep=True)
    return reception


def sound_of(reception: Reception, start_s: float = 0.0, end_s: float = 1e9) -> Signal:
    """What was heard between two moments."""
    inside = [pcm for tick, pcm in reception.heard.items() if start_s <= tick * TICK_MS / 1000 < end_s]
    return np.concatenate(inside)


@pytest.mark.parametrize("ptime_ms", [20, 60])
def test_speech_that_arrives_whole_is_understood(ptime_ms: int) -> None:
    said = speech(3)
    reception = receive(encoded(said, ptime_ms), Network(jitter_ms=10), ptime_ms=ptime_ms)
    heard = compare(said, sound_of(reception))
    print(heard)
    assert heard.stoi >= 0.95
    assert heard.kept == 1.0
    assert abs(heard.end_s - heard.begin_s) <= MOST_APART_S
    assert reception.counters.concealed_samples == 0


@pytest.mark.parametrize("config", [JitterConfig(), IN_CONVERSATION], ids=["recorded", "conversation"])
@pytest.mark.parametrize("ptime_ms", [20, 60])
def test_speech_over_a_bad_network_is_understood_and_what_was_made_up_is_counted(
    ptime_ms: int, config: JitterConfig
) -> None:
    said = speech(5)
    packets = encoded(said, ptime_ms)
    reception = receive(packets, BAD, ptime_ms=ptime_ms, config=config)
    heard = compare(said, sound_of(reception))
    print(heard, reception.counters)
    assert heard.stoi >= 0.85
    assert abs(heard.end_s - heard.begin_s) <= MOST_APART_S + (config.max_delay_ms / 1000)
    missing = len(packets) - reception.counters.received
    # What is lost at the very end leaves no trace.
    assert reception.counters.lost >= missing - 1 > 0
    made_up = reception.counters.concealed_samples + reception.counters.recovered_samples
    assert made_up >= 0.9 * (missing - 1) * ptime_ms * 48


@pytest.mark.parametrize(
    ("config", "stall_ms"), [(JitterConfig(), 900), (IN_CONVERSATION, 350)], ids=["recorded", "conversation"]
)
def test_what_a_stalled_network_brings_late_is_heard_late_and_not_lost(
    config: JitterConfig, stall_ms: int
) -> None:
    said = speech(3)
    network = Network(stall_ms=stall_ms, jitter_ms=10)
    reception = receive(encoded(said, 60), network, ptime_ms=60, config=config)
    sound = sound_of(reception)
    first, rest = said[: 2 * SAMPLE_RATE_HZ], said[round(2.2 * SAMPLE_RATE_HZ) :]
    before, after = compare(first, sound), compare(rest, sound, from_s=-2.2, near_s=2.2 + stall_ms / 1000)
    print(before, after, reception.counters)
    assert before.kept == 1.0
    assert after.kept >= 0.97
    assert reception.counters.late == reception.counters.lost == reception.counters.overflowed == 0
    # It is on its way back.
    assert after.end_s < after.begin_s


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """What hours on one network come to: the same sentences near the beginning and at the end."""

    early: Heard
    late: Heard
    counters: JitterCounters


def drift(network: Network, *, seconds: float, ptime_ms: int, sentences: int) -> Drifted:
    """Speak the same sentences over and over; listen to their second time and to their last."""
    said = speech(sentences)
    said = said[: len(said) // (ptime_ms * 48) * ptime_ms * 48]
    # Without the one that the encoder adds at the end: each round is as long as what is said.
    packets = encoded(said, ptime_ms)[: len(said) // (ptime_ms * 48)]
    rounds = max(3, round(seconds * SAMPLE_RATE_HZ / len(said)))
    round_s = len(said) / SAMPLE_RATE_HZ / (1 + network.ppm / 1e6)
    windows = [(number * round_s, (number + 1) * round_s + 1) for number in (1, rounds - 1)]
    reception = receive(
        packets, network, ptime_ms=ptime_ms, count=rounds * len(packets), windows_s=tuple(windows)
    )
    early, late = (
        # Ticks begin up to 20 ms behind the window.
        compare(said, sound_of(reception, start_s, end_s), from_s=-start_s % (TICK_MS / 1000))
        for start_s, end_s in windows
    )
    print(f"{network.ppm:+.0f} ppm, {ptime_ms} ms: {early} {late} {reception.counters}")
    return Drifted(early=early, late=late, counters=reception.counters)


DRIFTS = [
    pytest.param(-4000, 60, 20, 2, id="slow"),
    pytest.param(4000, 20, 20, 2, id="fast"),
    *(
        pytest.param(ppm, ptime_ms, THREE_HOURS_S, 10, id=f"{ppm} ppm {ptime_ms} ms", marks=pytest.mark.long)
        for ppm in (-300, 300)
        for ptime_ms in (20, 60)
    ),
]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("ppm", "ptime_ms", "seconds", "sentences"), DRIFTS)
def test_a_publisher_s_clock_that_is_wrong_moves_nothing_and_is_not_heard(
    ppm: int, ptime_ms: int, seconds: float, sentences: int
) -> None:
    told = drift(Network(jitter_ms=10, ppm=ppm), seconds=seconds, ptime_ms=ptime_ms, sentences=sentences)
    assert min(told.early.stoi, told.late.stoi) >= 0.95
    assert abs(told.late.end_s - told.early.begin_s) <= MOST_APART_S
    assert max(told.early.end_s, told.late.end_s) <= LONGEST_DELAY_S
    assert told.counters.lost == told.counters.late == told.counters.overflowed == 0


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("ppm", "ptime_ms", "seconds", "sentences"), DRIFTS)
def test_a_bad_network_and_a_wrong_clock_together_neither_grow_the_delay_nor_hide_what_was_said(
    ppm: int, ptime_ms: int, seconds: float, sentences: int
) -> None:
    told = drift(replace(BAD, ppm=ppm), seconds=seconds, ptime_ms=ptime_ms, sentences=sentences)
    assert min(told.early.stoi, told.late.stoi) >= 0.85
    assert abs(told.late.end_s - told.early.begin_s) <= MOST_APART_S
    assert max(told.early.end_s, told.late.end_s) <= LONGEST_DELAY_S
    assert told.counters.concealed_samples > 0
    assert told.counters.overflowed == 0
