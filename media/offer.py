"""A WHIP or WHEP offer (RFC 9725, RFC 8866), read once with bounds, and the answer to it.

The WebRTC stack never sees the stranger's text: `canonical_offer` writes anew the few facts that were
understood. The peer's ICE candidates are not among them. It connects to us, and this server
sends nothing to addresses that somebody wrote into an offer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from media.engine import OfferRefused

MAX_OFFER_BYTES = 65_536
MAX_LINES = 2_000
MAX_MEDIA = 16
MAX_FINGERPRINTS = 8
PTIME_MS = 60
RETURN_PTIME_MS = 20

_MEDIA = re.compile(r"m=([a-z]{1,16}) (\d{1,5})(?:/\d{1,3})? ([A-Z/]{1,40}) ([!-~ ]{1,1000})")
_RTPMAP = re.compile(r"(\d{1,3}) opus/48000(?:/\d)?", re.IGNORECASE)
_UFRAG = re.compile(r"[A-Za-z0-9+/_=-]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/_=-]{22,256}")
_MID = re.compile(r"[!-~]{1,32}")
_FINGERPRINT = re.compile(r"(sha-(?:256|384|512)) ([0-9A-F]{2}(?::[0-9A-F]{2}){31,63})", re.IGNORECASE)
_SSRC = re.compile(r"(\d{1,10}) ")
_DIRECTIONS = frozenset({"sendonly", "sendrecv", "recvonly", "inactive"})
_SETUPS = frozenset({"actpass", "active", "passive"})


class Way(StrEnum):
    """Which way the sound of a session goes, seen from who offers."""

    PUBLISH = "sendonly"  # WHIP
    LISTEN = "recvonly"  # WHEP


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedMedia:
    """One m-line, as far as a refusal needs it."""

    kind: str
    protocol: str
    formats: str
    mid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an acceptable offer says. `media[audio_index]` is the one line that will be used."""

    way: Way
    media: tuple[OfferedMedia, ...]
    audio_index: int
    payload_type: int
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str

    @property
    def mid(self) -> str:
        return self.media[self.audio_index].mid


@dataclass(slots=True)
class _Section:
    """Lines of one m-line, or those before the first."""

    head: str = ""
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def last(self, name: str) -> str | None:
        return next((value for key, value in reversed(self.attributes) if key == name), None)

    def has(self, name: str) -> bool:
        return self.last(name) is not None

    @property
    def direction(self) -> str | None:
        return next((key for key, _ in reversed(self.attributes) if key in _DIRECTIONS), None)


def parse_offer(text: str, *, way: Way = Way.PUBLISH) -> Offer:
    """Read an offer to publish or to listen, or say in `OfferRefused` what is wrong with it."""
    session, sections = _split(text)
    media = tuple(_described(section, number) for number, section in enumerate(sections))
    mids = [described.mid for described in media]
    if len(set(mids)) != len(mids):
        raise OfferRefused("expected every m-line to have a mid of its own")
    index, payload_type = _find_audio(session, sections, way=way)
    audio = sections[index]
    return Offer(
        media=media,
        audio_index=index,
        payload_type=payload_type,
        way=way,
        ufrag=_credential(session, audio, "ice-ufrag", _UFRAG),
        password=_credential(session, audio, "ice-pwd", _PASSWORD),
        fingerprints=_fingerprints(session, audio),
        setup=_setup(session, audio),
    )


def _split(text: str) -> tuple[_Section, list[_Section]]:
    if len(text) > MAX_OFFER_BYTES or len(text.encode("utf-8", "replace")) > MAX_OFFER_BYTES:
        raise OfferRefused(f"expected an offer of at most {MAX_OFFER_BYTES} bytes")
    lines = re.split(r"\r\n|\n|\r", text)
    if len(lines) > MAX_LINES:
        raise OfferRefused(f"expected at most {MAX_LINES} lines")
    if not lines[0].startswith("v=0"):
        raise OfferRefused("expected an SDP offer that begins with v=0")
    sections = [_Section()]
    for line in lines:
        if line.startswith("m="):
            sections.append(_Section(head=line))
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            sections[-1].attributes.append((name, value.strip()))
    if not 1 <= len(sections) - 1 <= MAX_MEDIA:
        raise OfferRefused(f"expected 1 to {MAX_MEDIA} m-lines, got {len(sections) - 1}")
    return sections[0], sections[1:]


def _described(section: _Section, number: int) -> OfferedMedia:
    head = _MEDIA.fullmatch(section.head)
    if not head:
        raise OfferRefused(f"m-line {number} cannot be read")
    mid = section.last("mid") or str(number)
    if not _MID.fullmatch(mid):
        raise OfferRefused(f"the mid of m-line {number} cannot be read")
    return OfferedMedia(kind=head[1], protocol=head[3], formats=_formats(head[1], head[4].split()), mid=mid)


def _formats(kind: str, offered: Sequence[str]) -> str:
    """What a refusal repeats; its reader must ignore it, yet something has to be there."""
    if kind not in ("audio", "video"):
        return offered[0] if offered else "0"
    types = [item for item in offered if item.isascii() and item.isdigit() and len(item) <= 3]
    return " ".join(item for item in types if int(item) < 64 or 96 <= int(item) < 128) or "0"


def _find_audio(session: _Section, sections: Sequence[_Section], *, way: Way) -> tuple[int, int]:
    reason = "expected an audio m-line"
    for index, section in enumerate(sections):
        head = _MEDIA.fullmatch(section.head)
        if not head or head[1] != "audio":
            continue
        payload_type = _opus_payload_type(section, formats=head[4].split())
        direction = section.direction or session.direction or "sendrecv"
        if payload_type is None:
            reason = "expected Opus with a payload type of 96 to 127 on the audio m-line"
        elif "RTP/SAVPF" not in head[3]:
            reason = "expected UDP/TLS/RTP/SAVPF on the audio m-line"
        elif direction not in (way, "sendrecv"):
            reason = f"expected the audio m-line to be {way} or sendrecv, got {direction}"
        elif int(head[2]) == 0 and not section.has("bundle-only"):
            reason = "expected an audio m-line that is not switched off by port 0"
        elif not section.has("rtcp-mux"):
            reason = "expected rtcp-mux on the audio m-line"
        else:
            return index, payload_type
    raise OfferRefused(reason)


def _opus_payload_type(section: _Section, *, formats: Sequence[str]) -> int | None:
    for name, value in section.attributes:
        found = _RTPMAP.fullmatch(value) if name == "rtpmap" else None
        if found and found[1] in formats and 96 <= int(found[1]) <= 127:
            return int(found[1])
    return None


def _credential(session: _Section, audio: _Section, name: str, pattern: re.Pattern[str]) -> str:
    value = audio.last(name) or session.last(name) or ""
    if not pattern.fullmatch(value):
        raise OfferRefused(f"expected a valid {name}")
    return value


def _fingerprints(session: _Section, audio: _Section) -> tuple[tuple[str, str], ...]:
    offered = [value for key, value in audio.attributes if key == "fingerprint"]
    offered = offered or [value for key, value in session.attributes if key == "fingerprint"]
    if len(offered) > MAX_FINGERPRINTS:
        raise OfferRefused(f"expected at most {MAX_FINGERPRINTS} fingerprints")
    found = [match for value in offered if (match := _FINGERPRINT.fullmatch(value))]
    if not found:
        raise OfferRefused("expected a DTLS fingerprint by SHA-256, SHA-384 or SHA-512")
    return tuple((match[1].lower(), match[2].upper()) for match in found)


def _setup(session: _Section, audio: _Section) -> str:
    setup = audio.last("setup") or session.last("setup") or ""
    if setup not in _SETUPS:
        raise OfferRefused("expected a=setup to be actpass, active or passive")
    return setup


def canonical_offer(offer: Offer) -> str:
    """The audio m-line alone, in our own words."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0"]
    lines += [f"m=audio 9 UDP/TLS/RTP/SAVPF {offer.payload_type}", "c=IN IP4 0.0.0.0", f"a={offer.way}"]
    lines += ["a=mid:0", "a=rtcp-mux", f"a=rtpmap:{offer.payload_type} opus/48000/2"]
    lines += [f"a=ice-ufrag:{offer.ufrag}", f"a=ice-pwd:{offer.password}"]
    lines += [f"a=fingerprint:{algorithm} {value}" for algorithm, value in offer.fingerprints]
    lines.append(f"a=setup:{offer.setup}")
    return "\r\n".join(lines) + "\r\n"


_TRANSPORT = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:sha-256 ", "a=setup:", "a=candidate:")
_KEPT = {Way.PUBLISH: _TRANSPORT, Way.LISTEN: (*_TRANSPORT, "a=msid:", "a=ssrc:")}
_ANSWERED = {Way.PUBLISH: "recvonly", Way.LISTEN: "sendonly"}


def answer_for(offer: Offer, *, stack_answer: str, advertised: str | None) -> str:
    """The answer to the whole offer from the WebRTC stack's answer to the canonical one.

    Asks a publisher for one Opus channel with in-band FEC, discontinuous transmission and 60 ms a
    packet: a third of the packets, and of the CPU, of the usual 20 ms. `advertised` replaces the address of
    every candidate (behind NAT, or in a container).
    """
    payload_type = offer.payload_type
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {offer.mid}"]
    for index, media in enumerate(offer.media):
        if index != offer.audio_index:
            lines += [f"m={media.kind} 0 {media.protocol} {media.formats}", "c=IN IP4 0.0.0.0", "a=inactive"]
            lines.append(f"a=mid:{media.mid}")
            continue
        lines += [f"m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}", "c=IN IP4 0.0.0.0"]
        lines.append(f"a={_ANSWERED[offer.way]}")
        lines += [f"a=mid:{media.mid}", "a=rtcp-mux", f"a=rtpmap:{payload_type} opus/48000/2"]
        lines += _opus(offer)
        kept = [line for line in stack_answer.splitlines() if line.startswith(_KEPT[offer.way])]
        lines += [_readdressed(line, advertised=advertised) for line in kept]
        lines.append("a=end-of-candidates")
    return "\r\n".join(lines) + "\r\n"


def _opus(offer: Offer) -> list[str]:
    if offer.way is Way.LISTEN:
        return [f"a=fmtp:{offer.payload_type} sprop-stereo=0", f"a=ptime:{RETURN_PTIME_MS}"]
    wishes = f"minptime=20;ptime={PTIME_MS};maxptime={PTIME_MS};useinbandfec=1;usedtx=1;stereo=0"
    return [f"a=fmtp:{offer.payload_type} {wishes}", f"a=ptime:{PTIME_MS}", f"a=maxptime:{PTIME_MS}"]


def _readdressed(line: str, *, advertised: str | None) -> str:
    if advertised is None or not line.startswith("a=candidate:"):
        return line
    fields = line.split(" ")
    fields[4] = advertised
    return " ".join(fields)
