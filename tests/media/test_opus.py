"""Opus: what was encoded is heard at its level, and no packet does harm."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media import opus_encoder
from media.opus import (
    MAX_PACKET_BYTES,
    MAX_PACKET_SAMPLES,
    Decoder,
    LibopusDecoder,
    PyavDecoder,
    load_libopus,
    new_decoder,
    packet_samples,
)
from media.opus_encoder import Encoder, LibopusEncoder, PyavEncoder
from tests.media.publisher import tone
from tests.media.sound import opus_packets, tone_level_db


def decoders() -> list[Decoder]:
    library = load_libopus()
    assert library is not None
    return [LibopusDecoder(library=library), PyavDecoder()]


@pytest.mark.parametrize("ptime_ms", [20, 40, 60])
def test_both_decoders_give_every_sample_at_its_level(ptime_ms: int) -> None:
    packets = opus_packets(tone(frequency_hz=440, seconds=1.2), ptime_ms=ptime_ms)
    for decoder in decoders():
        sound = np.concatenate([decoder.decode(packet) for packet in packets])
        assert len(sound) == len(packets) * ptime_ms * 48
        assert abs(tone_level_db(sound[9600:52_800], frequency_hz=440, reference=0.2)) < 0.3
        assert decoder.errors == 0


def test_the_bundled_library_is_the_first_choice() -> None:
    assert isinstance(new_decoder(), LibopusDecoder)


def test_a_lost_packet_is_heard_from_the_copy_in_the_next() -> None:
    packets = opus_packets(tone(frequency_hz=300, seconds=1), bit_rate=24_000, fec=True)
    decoder = new_decoder()
    for packet in packets[:20]:
        decoder.decode(packet)
    recovered = decoder.recover(packets[21], 960)
    assert len(recovered) == 960
    assert np.abs(recovered).max() > 0.1


@pytest.mark.parametrize("samples", [1, 119, 120, 960, 2880, MAX_PACKET_SAMPLES])
def test_concealment_has_the_length_that_was_asked_for(samples: int) -> None:
    packets = opus_packets(tone(frequency_hz=300, seconds=0.2))
    for decoder in decoders():
        decoder.decode(packets[0])
        assert len(decoder.conceal(samples)) == samples
        assert len(decoder.recover(packets[1], samples)) == samples


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (b"\xf8", 960),
        (b"\xf9", 1920),
        (b"\xfb", 0),
        (b"\xfb\x03", 2880),
        (b"\xfb\x07", 0),
        (b"\x1b\x02", 5760),
        (b"\x1b\x03", 0),
        (b"\xf8" * MAX_PACKET_BYTES, 960),
        (b"\xf8" * (MAX_PACKET_BYTES + 1), 0),
    ],
)
def test_the_length_of_a_packet_is_read_from_its_first_bytes(payload: bytes, samples: int) -> None:
    assert packet_samples(payload) == samples


@given(st.binary(max_size=1600))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_sound_or_concealed(payload: bytes) -> None:
    for decoder in decoders():
        assert 0 < len(decoder.decode(payload)) <= MAX_PACKET_SAMPLES


def test_ten_thousand_damaged_packets_do_no_harm() -> None:
    chance = random.Random(11)
    packets = opus_packets(tone(frequency_hz=440, seconds=1))
    decoder = new_decoder()
    for _ in range(10_000):
        damaged = bytearray(chance.choice(packets))
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        sound = decoder.decode(bytes(damaged[: chance.randint(0, len(damaged))]))
        assert np.isfinite(sound).all()


@pytest.mark.parametrize("encoder_type", ["libopus", "pyav"])
def test_both_encoders_keep_a_tone_at_its_level_also_for_who_joins_in_the_middle(encoder_type: str) -> None:
    library = opus_encoder._load()
    assert library is not None
    encoder: Encoder = LibopusEncoder(library=library) if encoder_type == "libopus" else PyavEncoder()
    sound = tone(frequency_hz=440, seconds=2)
    blocks = [sound[at : at + 960] for at in range(0, len(sound), 960)]
    packets = [encoder.encode(block, independent=number == 50) for number, block in enumerate(blocks)]
    assert all(packet_samples(packet) == 960 for packet in packets)
    for first in (0, 50):
        decoder = new_decoder()
        heard = np.concatenate([decoder.decode(packet) for packet in packets[first:]])
        assert abs(tone_level_db(heard[9600:48_000], frequency_hz=440, reference=0.2)) < 0.3
        assert np.abs(heard).max() < 0.22
