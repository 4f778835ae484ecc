"""Calling addresses that people gave us, and never one inside our own network.

Names are looked up here, every answer is checked, and the connection goes to the address that was checked: a
name that answers differently the second time leads nowhere else.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpcore

_TIMEOUT_S = 10.0
_MOST_ANSWER_BYTES = 64 * 1024
# A name's own server decides how long a look-up takes: these threads are not those that read files and check passwords.
_LOOK_UPS = ThreadPoolExecutor(16, "look-up")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that is routed on the open internet (RFC 4291): outside are IPv4 in other guises, site-local and local NAT64.
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
# What this Python does not know to be special: RFC 9637, RFC 6890, RFC 7526.
_SPECIAL = tuple(map(ipaddress.ip_network, ("3fff::/20", "192.0.0.0/24", "192.88.99.0/24")))


class NotAllowed(Exception):
    """This address may not be called."""


class Unreachable(Exception):
    """Nobody answered, or not as HTTP has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: status and headers in lower case."""

    status: int
    headers: dict[str, str]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also one that is wrapped in another."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL_V6:
            return False
    if any(ip in network for network in _SPECIAL if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast


def check_url(url: str, *, allow_private: bool) -> None:
    """Whether a URL may be called at all. Raises NotAllowed. Names are looked up only when it is called."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise NotAllowed("this is no URL") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or not host or port == 0 or "@" in parts.netloc or parts.fragment:
        raise NotAllowed("this is no URL that can be called")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise NotAllowed("expected an https URL")
    if allow_private:
        return
    if _is_literal(host):
        if not is_public(host):
            raise NotAllowed("expected an address of the open internet")
    elif "." not in host.rstrip(".") or host.rstrip(".").endswith((".localhost", ".local", ".internal")):
        raise NotAllowed("expected a name of the open internet")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _look_up(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a name. Raises NotAllowed when one of them is private, OSError when there are none."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, look_up)
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise NotAllowed("the name leads into a private network")
    return addresses


class _Guarded(httpcore.AsyncNetworkBackend):
    """Looks names up, checks every address, and connects to one that was checked."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await _look_up(host, port, allow_private=self._allow_private)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return await self._inner.connect_tcp(
            addresses[0], port, timeout=timeout, local_address=local_address, socket_options=socket_options
        )

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Outbound:
    """HTTP calls to addresses that others chose. Redirects are not followed: they would lead anywhere."""

    def __init__(self, *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self._context: ssl.SSLContext | None = None

    async def check(self, url: str) -> None:
        """Whether a URL may be called as things stand, its name looked up. Raises NotAllowed or Unreachable."""
        check_url(url, allow_private=self.allow_private)
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await _look_up(parts.hostname or "", parts.port or 443, allow_private=self.allow_private)
        except (TimeoutError, OSError, UnicodeError) as error:
            raise Unreachable("its name leads nowhere") from error

    async def post(self, url: str, *, headers: Mapping[str, str], content: bytes) -> Answer:
        """One POST on a connection of its own. Raises NotAllowed or Unreachable."""
        check_url(url, allow_private=self.allow_private)
        self._context = self._context or ssl.create_default_context()
        backend = _Guarded(allow_private=self.allow_private)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_S)
        try:
            async with (
                asyncio.timeout(2 * _TIMEOUT_S),
                httpcore.AsyncConnectionPool(ssl_context=self._context, network_backend=backend) as pool,
                pool.stream(
                    "POST",
                    url,
                    headers=list(headers.items()),
                    content=content,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                await _read_some(response)
                return Answer(
                    status=response.status,
                    headers={name.decode().lower(): value.decode() for name, value in response.headers},
                )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise Unreachable(type(error).__name__) from error
        except (TimeoutError, OSError, UnicodeError) as error:
            raise Unreachable(type(error).__name__) from error


async def _read_some(response: httpcore.Response) -> None:
    """What the other side says is not of interest, and must not fill our memory."""
    seen = 0
    async for chunk in response.aiter_stream():
        seen += len(chunk)
        if seen > _MOST_ANSWER_BYTES:
            return
