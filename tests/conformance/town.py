"""Somebody with a Space, a card and a token, for tests that have no loop."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.product.process import Server

_MADE = """mutation($sign: SignUpInput!) { signUp(input: $sign) { token user { id } errors { message } } }"""
_SPACE = """mutation($space: CreateSpaceInput!) {
  createSpace(input: $space) { space { id recording { id } } errors { message } } }"""
_LIVE = """mutation($id: ID!) { startSpace(input: {spaceId: $id}) { errors { message } }
  joinSpace(input: {spaceId: $id}) {
    live { url } participant { id } whipUrl whepUrl mediaToken errors { message } } }"""


@dataclass(frozen=True)
class Asker:
    """What they have, as its ids and addresses."""

    token: str
    handles: list[str]
    ids: list[str]
    live_url: str
    whip_url: str
    media_token: str

    @property
    def headers(self) -> dict[str, str]:
        """What signs them in."""
        return {"Authorization": f"Bearer {self.token}"}


def asked(server: Server, http: httpx.Client, handle: str) -> Asker:
    """Somebody new with a Space that waits and a live one, both to be recorded."""

    def do(query: str, token: str = "", **variables: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        answer = http.post(f"{server.url}/graphql", json=body, headers=headers).json()
        assert "errors" not in answer, answer
        assert all(payload["errors"] == [] for payload in answer["data"].values()), answer
        return answer["data"]

    sign = {"handle": handle[-30:], "name": "Somebody", "password": "correct horse"}
    made = do(_MADE, sign=sign)["signUp"]
    fields = {"title": "A talk", "record": True}
    spaces = [do(_SPACE, made["token"], space=fields)["createSpace"]["space"] for _ in range(2)]
    live = do(_LIVE, made["token"], id=spaces[1]["id"])["joinSpace"]
    ids = [made["user"]["id"], live["participant"]["id"]]
    for space in spaces:
        ids += [space["id"], space["recording"]["id"]]
    return Asker(
        token=made["token"],
        handles=[sign["handle"], "nobody_at_all"],
        ids=ids,
        live_url=live["live"]["url"],
        whip_url=live["whipUrl"],
        media_token=live["mediaToken"],
    )
