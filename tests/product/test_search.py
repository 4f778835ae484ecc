"""Finding people and Spaces."""

import pytest

from tests.product.town import Person, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _people(person: Person, text: str) -> list[str]:
    query = "query($t: String!) { users(text: $t, first: 100) { edges { node { handle } } } }"
    return [edge["node"]["handle"] for edge in (await person.read(query, t=text))["users"]["edges"]]


async def _spaces(person: Person, **arguments: str) -> set[str]:
    query = """query($state: SpaceState, $topic: String, $text: String) {
      spaces(state: $state, topic: $topic, text: $text, first: 100) { edges { node { title } } } }"""
    return {edge["node"]["title"] for edge in (await person.read(query, **arguments))["spaces"]["edges"]}


async def test_people_are_found_by_the_beginnings_of_handle_and_name(city: Town) -> None:
    ada = await city.person("Ada_Lovelace")
    await ada.do("updateAccount", name="Augusta Byron-King 李雪")
    await city.person("adalbert")
    for text in (
        "ada",
        "ADA_L",
        "ada_lovelace",
        "love",
        "augusta",
        "byr king",
        "King Aug",
        "\uff41\uff44\uff41_",
        "雪",
        "李",
    ):
        assert "Ada_Lovelace" in await _people(city.anyone, text), text
    assert set(await _people(city.anyone, "ada")) == {"Ada_Lovelace", "adalbert"}
    for text in ("%", "_", "ad%", "a_a", "ada augusta nobody", "ovelace", "", "  ", "'; --", "\\", "\0"):
        assert "Ada_Lovelace" not in await _people(city.anyone, text) or text == "ad%", text
    await ada.do("updateAccount", name="Ada")
    assert await _people(city.anyone, "augusta") == []
    answer = await city.anyone.ask('{ users(text: "%s") { edges { cursor } } }' % ("x" * 201))
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_spaces_are_found_by_title_handle_topic_and_state(city: Town) -> None:
    host = await city.person("quizmaster_7")
    planned = await host.new_space(
        "id title", title="Café in Zürich: 100% _fun_", topics=["Jazz", "Night music"]
    )
    other = await host.new_space("id title", title="Budget review", topics=["jazz"])
    one, two = planned["title"], other["title"]
    for text in ("cafe zur", "CAFÉ", "fun", "100", "quizm", "quizmaster_7"):
        assert one in await _spaces(city.anyone, text=text), text
    for text in ("%", "afe", "100% budget", "___", "master"):
        assert await _spaces(city.anyone, text=text) == set(), text
    assert await _spaces(city.anyone, topic="JAZZ") == {one, two}
    assert await _spaces(city.anyone, topic="night MUSIC ") == {one}
    assert await _spaces(city.anyone, topic="night") == set()
    assert await _spaces(city.anyone, topic="jazz", text="budget", state="SCHEDULED") == {two}
    await host.do("startSpace", spaceId=other["id"])
    assert await _spaces(city.anyone, topic="jazz", state="LIVE") == {two}
    assert await _spaces(city.anyone, topic="jazz", state="SCHEDULED") == {one}
    await host.do("updateSpace", spaceId=planned["id"], title="Tea", topics=["calm"])
    assert await _spaces(city.anyone, text="cafe") == await _spaces(city.anyone, topic="night music") == set()
    assert await _spaces(city.anyone, text="tea", topic="CALM") == {"Tea"}
    await host.do("endSpace", spaceId=other["id"])


async def test_pages_of_found_people_join_up(city: Town) -> None:
    handles = {(await city.person(f"paging_{number}")).handle for number in range(5)}
    query = """query($a: String) { users(text: "paging", first: 2, after: $a) {
      edges { node { handle } } pageInfo { hasNextPage endCursor } } }"""
    seen: list[str] = []
    after: str | None = None
    while True:
        page = (await city.anyone.read(query, a=after))["users"]
        seen += [edge["node"]["handle"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(seen) == 5
    assert set(seen) == handles
