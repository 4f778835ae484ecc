"""How publishers reach a media process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IceConfig:
    """Addresses for ICE.

    `address` is what the answer tells publishers: an address of this machine is bound, any other
    (NAT, containers) is only told, and every local address is bound. None binds and tells every
    address but loopback. `servers` are STUN or TURN URLs for this side; none is needed on a public
    address, and none is asked unless it is named here.
    """

    address: str | None = None
    servers: tuple[str, ...] = ()
