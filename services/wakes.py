"""Wake-ups that leave the process with a change, and come in from others."""

from collections.abc import Collection, Iterator

from models import notify
from services.bus import Bus


async def send(bus: Bus, topics: Collection[str]) -> None:
    """Wake those who listen in other processes once the transaction is committed."""
    await notify.notify(_packed(bus.name, topics))


def _packed(name: str, topics: Collection[str]) -> Iterator[str]:
    """Texts of bounded length: who sends, then what is woken."""
    text = name
    for topic in sorted(topics):
        if len(text) + 1 + len(topic) > notify.MOST_BYTES:
            yield text
            text = name
        text += f" {topic}"
    if topics:
        yield text


async def hear(bus: Bus, url: str) -> None:
    """Wake whoever listens here for what others have written, until cancelled.

    After a connection was lost everybody looks: each reads on from its cursor, so nothing is missed.
    """

    def heard(text: str) -> None:
        sender, *topics = text.split(" ")
        if sender != bus.name:
            bus.wake(topics)

    await notify.listen(url, heard, bus.wake_all)
