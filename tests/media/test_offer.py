"""Offers from strangers: what is understood is answered, everything else refused in clear words."""

import random

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from media.engine import OfferRefused
from media.offer import answer_for, canonical_offer, parse_offer

FINGERPRINT = ":".join(["AB"] * 32)
AUDIO = f"""m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=mid:audio
a=sendonly
a=rtcp-mux
a=ice-ufrag:abcd
a=ice-pwd:{"p" * 22}
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host
"""
VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=rtpmap:96 VP8/90000
a=mid:video
a=sendonly
a=rtcp-mux
"""
HEAD = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE audio video\n"
STACK_ANSWER = f"""v=0\r
a=candidate:1 1 udp 2130706431 10.0.0.7 5000 typ host\r
a=ice-ufrag:abcd\r
a=ice-pwd:{"q" * 22}\r
a=fingerprint:sha-256 {FINGERPRINT}\r
a=fingerprint:sha-512 {FINGERPRINT}\r
a=setup:active\r
"""


def test_an_offer_with_video_before_the_audio_is_answered_with_the_video_rejected() -> None:
    offer = parse_offer(HEAD + VIDEO + AUDIO)
    answer = answer_for(offer, stack_answer=STACK_ANSWER, advertised="192.0.2.9")
    parsed = SessionDescription.parse(answer)
    assert [(media.kind, media.port, media.direction) for media in parsed.media] == [
        ("video", 0, "inactive"),
        ("audio", 9, "recvonly"),
    ]
    assert [group.items for group in parsed.group] == [["audio"]]
    audio = parsed.media[1]
    assert audio.rtp.muxId == "audio"
    assert audio.ice_candidates[0].ip == "192.0.2.9"
    (codec,) = audio.rtp.codecs
    assert (codec.payloadType, codec.mimeType) == (111, "audio/opus")
    assert codec.parameters["useinbandfec"] == 1
    assert codec.parameters["usedtx"] == "1"
    assert codec.parameters["stereo"] == 0
    assert "\r\na=ptime:60\r\na=maxptime:60\r\n" in answer


def test_the_stack_sees_no_candidate_and_no_word_of_the_stranger() -> None:
    canonical = canonical_offer(parse_offer(HEAD + AUDIO + "a=evil:x\n"))
    assert "candidate" not in canonical
    assert "evil" not in canonical
    assert len(SessionDescription.parse(canonical).media) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "v=0"),
        ("hello", "v=0"),
        (HEAD, "m-lines"),
        (HEAD + VIDEO, "expected an audio m-line"),
        (HEAD + AUDIO.replace("opus", "L16"), "Opus"),
        (HEAD + AUDIO.replace("111", "63"), "96 to 127"),
        (HEAD + AUDIO.replace("sendonly", "recvonly"), "recvonly"),
        (HEAD + AUDIO.replace("a=rtcp-mux\n", ""), "rtcp-mux"),
        (HEAD + AUDIO.replace("m=audio 9", "m=audio 0"), "port 0"),
        (HEAD + AUDIO.replace("SAVPF", "AVP"), "SAVPF"),
        (HEAD + AUDIO.replace("a=ice-ufrag:abcd\n", ""), "ice-ufrag"),
        (HEAD + AUDIO.replace("p" * 22, "short"), "ice-pwd"),
        (HEAD + AUDIO.replace(FINGERPRINT, "zz"), "fingerprint"),
        (HEAD + AUDIO.replace("actpass", "holdconn"), "setup"),
        (HEAD + AUDIO + AUDIO, "mid"),
        (HEAD + "m=audio\n" + AUDIO, "m-line 0"),
        (HEAD + AUDIO + "m=video 9 X 96\n" * 20, "m-lines"),
        (HEAD + AUDIO + "a=x\n" * 3000, "lines"),
        (HEAD + AUDIO + "a=" + "x" * 70_000, "bytes"),
        (HEAD + AUDIO + "é" * 40_000, "bytes"),
        (HEAD + AUDIO + f"a=fingerprint:sha-256 {FINGERPRINT}\n" * 20, "fingerprints"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_says_why(text: str, reason: str) -> None:
    with pytest.raises(OfferRefused, match=reason):
        parse_offer(text)


def understood(text: str) -> None:
    """Parse, and let the stack read what we make of it."""
    try:
        offer = parse_offer(text)
    except OfferRefused:
        return
    SessionDescription.parse(canonical_offer(offer))
    SessionDescription.parse(answer_for(offer, stack_answer=STACK_ANSWER, advertised=None))


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_answered_or_refused(text: str) -> None:
    understood(text)
    understood("v=0\n" + text)


def test_damaged_offers_are_answered_or_refused() -> None:
    chance = random.Random(7)
    whole = HEAD + AUDIO + VIDEO
    for _ in range(3000):
        damaged = list(whole)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(damaged))
            match chance.randrange(4):
                case 0:
                    damaged[at] = chr(chance.choice([0, 10, 13, 32, 58, 61, 255, 0x2028, 0xD800]))
                case 1:
                    del damaged[at : at + chance.randint(1, 40)]
                case 2:
                    damaged[at:at] = damaged[chance.randrange(len(damaged)) :][: chance.randint(1, 60)]
                case _:
                    damaged[at] = chance.choice("0123456789 :=\n-/")
            if not damaged:
                break
        understood("".join(damaged))
