"""What names lead to, for tests that cannot ask the internet."""

import socket
from collections.abc import Callable
from typing import Any

import pytest


def looked_up(monkeypatch: pytest.MonkeyPatch, answers: Callable[[str], list[str]]) -> list[str]:
    """Names below example.org are looked up here; which were."""
    asked: list[str] = []
    elsewhere = socket.getaddrinfo

    def getaddrinfo(name: Any, port: Any, *given: Any, **more: Any) -> Any:
        if not str(name).endswith(".example.org"):
            return elsewhere(name, port, *given, **more)
        asked.append(name)
        return [(2, 1, 6, "", (address, port)) for address in answers(name)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
