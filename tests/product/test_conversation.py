"""Host, co-hosts and speakers hear each other in real time, through the public door."""

import asyncio
import time

import numpy as np

from tests.media.hearer import Hearer
from tests.media.lateness import HELD_BACK_S, lateness
from tests.media.publisher import Publisher, tone
from tests.media.sound import Signal, tone_level_db
from tests.product.town import Town

SILENCE = np.zeros(48_000, np.float32)


def level(sound: Signal, frequency_hz: float) -> float:
    return tone_level_db(sound, frequency_hz=frequency_hz, reference=0.2)


async def hang_up(*peers: Publisher | Hearer) -> None:
    for peer in peers:
        await peer.close()


async def falls_silent_within_200_ms(hearer: Hearer) -> bool:
    """Counted from the answer to whatever silenced the voice."""
    since_s = time.monotonic()
    async with lateness() as late:
        await asyncio.sleep(0.6)
    last_s = hearer.last_heard_s(level=0.02)
    return last_s is not None and last_s - since_s < late.allowing(0.2 + HELD_BACK_S)


async def test_two_people_hear_each_other_and_not_themselves(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space = await host.live_space(record=True)
    await guest.speak_in(space, host)
    tones = {host.id: 440.0, guest.id: 1000.0}
    hearers: dict[str, Hearer] = {}
    publishers: list[Publisher] = []
    for person in (host, guest):
        place, frequency_hz = await person.join(space), tones[person.id]
        hearers[person.id] = await place.listen()
        publishers.append(await place.publish(tone(frequency_hz=frequency_hz, seconds=30)))
    for who, hearer in hearers.items():
        for speaker, frequency_hz in tones.items():
            assert speaker == who or await hearer.hears(frequency_hz)
    await asyncio.sleep(0.6)
    for who, hearer in hearers.items():
        assert level(hearer.heard(last_s=0.6), tones[who]) < -40
    await hang_up(*publishers, *hearers.values())


async def test_who_loses_the_role_or_leaves_is_neither_heard_nor_hears(town: Town) -> None:
    host = await town.person()
    space = await host.live_space()
    ear = await (await host.join(space)).listen()
    for way in ("setParticipantRole", "leaveSpace"):
        guest = await town.person()
        await guest.speak_in(space, host)
        place = await guest.join(space)
        hearer, publisher = await place.listen(), await place.publish(tone(frequency_hz=600, seconds=30))
        assert await ear.hears(600)
        if way == "leaveSpace":
            await guest.do("leaveSpace", spaceId=space)
        else:
            await host.do("setParticipantRole", spaceId=space, userId=guest.id, role="LISTENER")
        assert await falls_silent_within_200_ms(ear)
        assert (publisher.state, hearer.state) == ("closed", "closed")
        refused = await town.http.post(place.whep_url, content="v=0", headers=place.headers)
        assert refused.status_code == 403
        await hang_up(publisher, hearer)
    await hang_up(ear)


async def test_muting_is_told_and_takes_effect_on_the_server(town: Town) -> None:
    host, guest, listener = [await town.person() for _ in range(3)]
    space = await host.live_space()
    await guest.speak_in(space, host)
    await listener.do("joinSpace", spaceId=space)
    ear = await (await host.join(space)).listen()
    publisher = await guest.publish(space, tone(frequency_hz=600, seconds=60))
    assert await ear.hears(600)
    async with town.anyone.socket() as socket:
        events = await socket.subscribe(
            "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind"
            " ... on ParticipantChanged { participant { isMuted isSpeaking user { id } } } } }",
            id=space,
        )
        await socket.next(events)
        muted = await host.do(
            "setMuted", "participant { isMuted isSpeaking }", spaceId=space, userId=guest.id, muted=True
        )
        assert await falls_silent_within_200_ms(ear)
        assert muted["participant"] == {"isMuted": True, "isSpeaking": False}
        told = await socket.next(events)
        assert told["kind"] == "MUTED_CHANGED"
        assert told["participant"] == {"isMuted": True, "isSpeaking": False, "user": {"id": guest.id}}
        # Muting again changes nothing, and the next event is the unmuting.
        await guest.do("setMuted", spaceId=space, userId=guest.id, muted=True)
        assert await host.refused("setMuted", spaceId=space, userId=guest.id, muted=False) == "FORBIDDEN"
        await guest.do("setMuted", spaceId=space, userId=guest.id, muted=False)
        assert (await socket.next(events))["participant"]["isMuted"] is False
    assert await ear.hears(600)
    await hang_up(publisher, ear)


async def test_who_may_mute_whom(town: Town) -> None:
    host, guest, other, listener = [await town.person() for _ in range(4)]
    space = await host.live_space()
    await guest.speak_in(space, host)
    await other.speak_in(space, host)
    await listener.do("joinSpace", spaceId=space)
    for muted in (True, False):
        await listener.do("setMuted", spaceId=space, userId=listener.id, muted=muted)
    stranger = await town.person()
    for who, whom, code in [
        (guest, other, "FORBIDDEN"),
        (listener, guest, "FORBIDDEN"),
        (stranger, guest, "CONFLICT"),
        (host, listener, "CONFLICT"),
        (host, stranger, "NOT_FOUND"),
        (town.anyone, guest, "UNAUTHENTICATED"),
    ]:
        assert await who.refused("setMuted", spaceId=space, userId=whom.id, muted=True) == code
    await host.do("endSpace", spaceId=space)
    assert await guest.refused("setMuted", spaceId=space, userId=guest.id, muted=True) == "ALREADY_ENDED"


async def test_a_muted_person_stays_muted_when_they_come_back(town: Town) -> None:
    host = await town.person()
    space = await host.live_space(record=True)
    await host.do("setMuted", spaceId=space, userId=host.id, muted=True)
    publisher = await host.publish(space, tone(frequency_hz=600, seconds=30))
    await asyncio.sleep(0.7)
    assert (await host.recording(space, "status"))["status"] == "STARTING"
    await host.do("setMuted", spaceId=space, userId=host.id, muted=False)
    await host.until(space, "RECORDING")
    await hang_up(publisher)


async def test_a_second_device_takes_over_both_ways_when_it_publishes(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space = await host.live_space()
    await guest.speak_in(space, host)
    voice = await host.publish(space, tone(frequency_hz=600, seconds=30))
    phone, laptop = await guest.join(space), await guest.join(space)
    old: list[Publisher | Hearer] = [await phone.listen(), await phone.publish(SILENCE)]
    new: list[Publisher | Hearer] = [await laptop.listen()]
    await asyncio.sleep(0.3)
    assert [peer.state for peer in old] == ["connected", "connected"]
    new.append(await laptop.publish(SILENCE))
    await asyncio.sleep(0.5)
    assert [peer.state for peer in old] == ["closed", "closed"]
    assert [peer.state for peer in new] == ["connected", "connected"]
    await hang_up(voice, *old, *new)
