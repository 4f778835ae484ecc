"""What a client says about its ICE session after the offer (RFC 8840, RFC 9725 section 4.3), read with bounds.

This server needs none of it: the peer connects to us, and its checks tell where it is. So candidates are
read, found well-formed and let go; only the credentials matter, for others than the offer's ask for a restart.
"""

import re
from dataclasses import dataclass

MAX_FRAGMENT_BYTES = 16_384
MAX_LINES = 200

_LINE = re.compile(r"[a-z]=[^\r\n]{1,1000}")
_UFRAG = re.compile(r"^a=ice-ufrag:([A-Za-z0-9+/_=-]{4,256})\s*$", re.MULTILINE)


class FragmentRefused(Exception):
    """The SDP fragment cannot be read; the text says why, for the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """`ufrag` names the ICE session that is spoken of; None when the fragment leaves it out."""

    ufrag: str | None
    candidates: int
    complete: bool


def ice_ufrag(sdp: str) -> str | None:
    """The first ICE user name of an offer or a fragment."""
    found = _UFRAG.search(sdp)
    return found[1] if found else None


def parse_fragment(text: str) -> Fragment:
    """Read a fragment. Raises `FragmentRefused`."""
    if len(text) > MAX_FRAGMENT_BYTES:
        raise FragmentRefused(f"expected an SDP fragment of at most {MAX_FRAGMENT_BYTES} bytes")
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line]
    if not 0 < len(lines) <= MAX_LINES:
        raise FragmentRefused(f"expected an SDP fragment of 1 to {MAX_LINES} lines")
    if not all(_LINE.fullmatch(line) for line in lines):
        raise FragmentRefused("expected every line of the SDP fragment to be of the form a=value")
    return Fragment(
        ufrag=ice_ufrag("\n".join(lines)),
        candidates=sum(line.startswith("a=candidate:") for line in lines),
        complete="a=end-of-candidates" in lines,
    )
