"""Who hears which mix, without sockets: one encode where the mix is the same, no click where it changes."""

import numpy as np

from media.mixer import Mixer
from media.opus import Pcm, new_decoder
from media.returns import QUIET_AFTER_TICKS, REFRESH_TICKS, SILENT_AFTER_TICKS, Listener, ReturnMix, Spoken
from tests.media.publisher import tone
from tests.media.sound import Signal, tone_level_db


class Ear:
    """A `PacketOutlet` that keeps what it is given."""

    last_seen_ns = 0

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.at_samples: list[int] = []
        self.first: list[bool] = []

    def send(self, payload: bytes, *, at_samples: int, first: bool) -> None:
        self.packets.append(payload)
        self.at_samples.append(at_samples)
        self.first.append(first)

    def close(self) -> None: ...

    def sound(self) -> Signal:
        decoder = new_decoder()
        return np.concatenate([decoder.decode(packet) for packet in self.packets])


class Table:
    """A mixer and its listeners."""

    def __init__(self, *names: str) -> None:
        self.mixer = Mixer()
        self.returns = ReturnMix()
        self.ears = {name: Ear() for name in names}
        self.listeners: dict[str, Listener] = {}
        for name, ear in self.ears.items():
            listener = self.listeners[name] = self.returns.add(name)
            listener.outlet, listener.connected = ear, True

    def tick(self, **voices: Pcm) -> None:
        spoken: list[Spoken] = list(voices.items())
        self.returns.prepare(spoken, mixer=self.mixer)
        self.returns.send(spoken, self.mixer.mix(list(voices.values())))


def blocks(signal: Signal) -> list[Pcm]:
    return [signal[at : at + 960] for at in range(0, len(signal), 960)]


def test_those_who_make_no_sound_are_sent_the_same_packets() -> None:
    table = Table("a", "b", "c")
    for block in blocks(tone(frequency_hz=440, seconds=0.4)):
        table.tick(a=block)
    assert table.ears["b"].packets == table.ears["c"].packets
    assert table.ears["a"].packets != table.ears["b"].packets
    assert len(table.returns._own) == 1


def test_who_speaks_does_not_hear_their_own_first_word_nor_the_last() -> None:
    table = Table("a", "b")
    quiet = np.zeros(960, np.float32)
    mine, theirs = blocks(tone(frequency_hz=1000, seconds=1)), blocks(tone(frequency_hz=440, seconds=3))
    for number, other in enumerate(theirs):
        speaking = 50 <= number < 100
        table.tick(a=mine[number - 50] if speaking else quiet, b=other)
    heard = table.ears["a"].sound()
    assert tone_level_db(heard, frequency_hz=1000, reference=0.2) < -60
    assert abs(tone_level_db(heard[9600:], frequency_hz=440, reference=0.2)) < 0.5
    # Where they went over to a mix of their own, and back, the tone goes on without a click.
    steps = np.abs(np.diff(heard[9600:]))
    assert steps.max() < 1.2 * 0.2 * 2 * np.pi * 440 / 48_000


def test_the_mix_of_one_s_own_ends_half_a_second_after_the_last_sound() -> None:
    table = Table("a")
    table.tick(a=tone(frequency_hz=440, seconds=0.02))
    for _ in range(QUIET_AFTER_TICKS):
        table.tick()
    assert table.returns._own
    table.tick()
    assert not table.returns._own


def test_silence_is_hardly_sent_and_keeps_its_time() -> None:
    table = Table("a")
    ear = table.ears["a"]
    for _ in range(SILENT_AFTER_TICKS + 10 * REFRESH_TICKS):
        table.tick()
    assert len(ear.packets) == SILENT_AFTER_TICKS + 10
    table.tick(b=tone(frequency_hz=440, seconds=0.02))
    assert ear.first[-1]
    assert ear.at_samples[-1] == (SILENT_AFTER_TICKS + 10 * REFRESH_TICKS) * 960
    table.tick(b=tone(frequency_hz=440, seconds=0.02))
    assert not ear.first[-1]


def test_nothing_is_sent_before_the_listener_is_connected_or_after_it_went() -> None:
    table = Table("a", "b")
    table.listeners["a"].connected = False
    table.returns.remove(table.listeners["b"])
    table.tick(c=tone(frequency_hz=440, seconds=0.02))
    assert table.ears["a"].packets == []
    assert table.ears["b"].packets == []
