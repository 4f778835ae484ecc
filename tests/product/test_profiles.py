"""Pictures and passwords."""

import asyncio
import hashlib
import struct
import zlib
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image, PngImagePlugin
from websockets.exceptions import ConnectionClosed

from services.avatars import MOST_BYTES
from tests.product.town import PATIENCE_S, Person, Socket, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse"
ROUTE = "/account/avatar"


def picture(form: str = "JPEG", size: tuple[int, int] = (640, 480), **kept: Any) -> bytes:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    made = BytesIO()
    image.save(made, form, **kept)
    return made.getvalue()


async def _put(person: Person, data: bytes) -> httpx.Response:
    return await person.town.http.put(ROUTE, content=data, headers=person.headers)


async def _url(person: Person) -> str | None:
    answer = await person.town.anyone.read(f'{{ user(handle: "{person.handle}") {{ avatarUrl }} }}')
    url = answer["user"]["avatarUrl"]
    return None if url is None else str(url)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_a_picture_is_made_anew_square_small_and_a_jpeg(city: Town, form: str) -> None:
    person = await city.person()
    assert await _url(person) is None
    put = await _put(person, picture(form))
    assert (put.status_code, put.json()["avatarUrl"]) == (200, await _url(person))
    got = await city.fetch(put.json()["avatarUrl"])
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")
    image = Image.open(BytesIO(got.content))
    assert (image.format, image.size) == ("JPEG", (480, 480))
    left, right = image.convert("RGB").getpixel((10, 200)), image.convert("RGB").getpixel((470, 200))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 200 > right[0]


async def test_a_picture_keeps_neither_place_nor_words_and_stands_upright(city: Town) -> None:
    person = await city.person()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "SECRET PLACE"
    exif.get_ifd(0x8825)[1] = "N"
    await _put(person, picture(size=(300, 300), exif=exif, comment=b"SECRET WORD", icc_profile=b"SECRET" * 9))
    url = await _url(person)
    assert url is not None
    content = (await city.fetch(url)).content
    assert b"SECRET" not in content
    image = Image.open(BytesIO(content))
    assert (dict(image.getexif()), image.info.get("comment")) == ({}, None)
    top, bottom = image.convert("RGB").getpixel((150, 5)), image.convert("RGB").getpixel((150, 295))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > bottom[0]
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", "SECRET NAME")
    await _put(person, picture("PNG", pnginfo=words))
    url = await _url(person)
    assert url is not None
    assert b"SECRET" not in (await city.fetch(url)).content


def _bomb(side: int) -> bytes:
    """A PNG that says it has `side` by `side` pixels, and some bytes of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


BAD = {
    "nothing": b"",
    "text": b"no picture",
    "a page": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "half a picture": picture()[:2000],
    "a PNG that is cut off": picture("PNG")[:-300],
    "a bomb": _bomb(30_000),
    "a larger bomb": _bomb(2**31 - 1),
    "a little too many pixels": picture("PNG", (6000, 4001)),
    "another format": picture("BMP"),
    "too many bytes": b"\xff\xd8" + b"\0" * MOST_BYTES,
}


@pytest.mark.parametrize("name", list(BAD))
async def test_what_is_no_picture_or_too_large_is_refused_and_changes_nothing(city: Town, name: str) -> None:
    person = await city.person()
    await _put(person, picture())
    before = await _url(person)
    answer = await _put(person, BAD[name])
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert await _url(person) == before


async def test_a_picture_is_asked_for_again_by_its_tag_and_goes_when_it_is_taken_away(city: Town) -> None:
    person = await city.person()
    assert (await city.http.put(ROUTE, content=picture())).status_code == 401
    assert (await city.http.delete(ROUTE)).status_code == 401
    first = (await _put(person, picture())).json()["avatarUrl"]
    got = await city.fetch(first)
    tag = got.headers["etag"]
    assert tag == f'"{hashlib.sha256(got.content).hexdigest()}"'
    assert (await city.fetch(first, **{"If-None-Match": f'"x", W/{tag}'})).status_code == 304
    assert (await city.fetch(first, **{"If-None-Match": '"x"'})).status_code == 200
    second = (await _put(person, picture(size=(100, 100)))).json()["avatarUrl"]
    assert second != first
    assert [(await city.fetch(url)).status_code for url in (first, second)] == [404, 200]
    for _ in range(2):
        assert (await city.http.delete(ROUTE, headers=person.headers)).status_code == 204
    assert (await city.fetch(second)).status_code == 404
    assert await _url(person) is None
    assert (await city.fetch(f"{city.url}/avatars/x/y.jpg")).status_code == 404


async def _again(person: Person, password: str) -> Person:
    made = await person.town.anyone.do("signIn", "token", handle=person.handle, password=password)
    return Person(person.town, token=made["token"], id=person.id, handle=person.handle)


async def _is_in(person: Person) -> bool:
    answer = await person.town.http.post(
        "/graphql", json={"query": "{ viewer { isModerator } }"}, headers=person.headers
    )
    return answer.status_code == 200


async def _hear_out(socket: Socket) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await socket.raw.recv()


async def test_a_new_password_ends_every_other_session_at_once(city: Town) -> None:
    person = await city.person()
    other = await _again(person, PASSWORD)
    async with other.socket() as socket:
        name = await socket.subscribe("subscription { timelineUpdates { kind } }")
        assert (await socket.next(name))["kind"] == "SNAPSHOT"
        await person.do("changePassword", currentPassword=PASSWORD, newPassword="battery staple")
        with pytest.raises(ConnectionClosed) as closed:
            await _hear_out(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403
    assert [await _is_in(one) for one in (person, other)] == [True, False]
    assert await city.anyone.refused("signIn", handle=person.handle, password=PASSWORD) == "UNAUTHENTICATED"
    await _again(person, "battery staple")


@pytest.mark.parametrize(
    ("current", "new", "refusal"),
    [
        ("wrong horse", "battery staple", ("FORBIDDEN", ["currentPassword"])),
        (PASSWORD, "1234567", ("INVALID_INPUT", ["newPassword"])),
        (PASSWORD, "p" * 129, ("INVALID_INPUT", ["newPassword"])),
    ],
)
async def test_a_password_is_changed_by_who_knows_it_alone(
    city: Town, current: str, new: str, refusal: tuple[str, list[str]]
) -> None:
    person = await city.person()
    other = await _again(person, PASSWORD)
    payload = await person.try_("changePassword", currentPassword=current, newPassword=new)
    assert [(one["code"], one["path"]) for one in payload["errors"]] == [refusal]
    assert await _is_in(other)
    await _again(person, PASSWORD)


async def test_of_two_changes_at_once_one_stands_and_tells_so(city: Town) -> None:
    person = await city.person()
    wishes = ["battery staple", "staple battery"]
    payloads = await asyncio.gather(
        *(person.try_("changePassword", currentPassword=PASSWORD, newPassword=wish) for wish in wishes)
    )
    won = [wish for wish, payload in zip(wishes, payloads, strict=True) if not payload["errors"]]
    assert len(won) == 1
    await _again(person, won[0])
