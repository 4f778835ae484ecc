"""Reading a request: GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), sections 5 and
6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from api.graphql.errors import WrongMediaType
from api.graphql.json import decode
from api.graphql.limits import Limits
from services.errors import InvalidInput

_PARAMETERS = ("query", "operationName", "variables", "extensions")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """The four parameters of a request, of the right types. `query` may be empty where `extensions` names one."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


def from_body(body: bytes, content_type: str | None, *, limits: Limits) -> GraphQLRequest:
    """The request in a POST body. Raises InvalidInput, and WrongMediaType for all but JSON in UTF-8."""
    check_content_type(content_type)
    value = decode(body, limits=limits)
    if isinstance(value, list):
        raise InvalidInput("Batches are not served. Send one request at a time.")
    return from_value(value)


def from_query_string(query_string: bytes, *, limits: Limits) -> GraphQLRequest:
    """The request in the URL of a GET. Raises InvalidInput."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise InvalidInput(
            "The query string is no percent-encoded UTF-8, or has over 20 parameters."
        ) from None
    value: dict[str, Any] = {}
    for name, text in pairs:
        if name in value:
            raise InvalidInput(f"`{name}` stands twice in the query string. Send it once.")
        value[name] = text
    for name in ("variables", "extensions"):
        if name in value:
            value[name] = decode(value[name], limits=limits)
    return from_value(value)


def from_value(value: Any) -> GraphQLRequest:
    """The request in a decoded JSON value. Raises InvalidInput."""
    if not isinstance(value, dict):
        raise InvalidInput('A request is a JSON object, as in {"query": "{ __typename }"}.')
    query = value.get("query")
    extensions = _object(value, "extensions")
    if query is None and "persistedQuery" in extensions:
        query = ""
    if query is None:
        raise InvalidInput("`query` is missing. Send the GraphQL document in it.", path=["query"])
    if not isinstance(query, str):
        raise InvalidInput(f"`query` is {_name_of(query)}, expected a string.", path=["query"])
    operation_name = value.get("operationName")
    if operation_name is not None and not isinstance(operation_name, str):
        raise InvalidInput(
            f"`operationName` is {_name_of(operation_name)}, expected a string.", path=["operationName"]
        )
    return GraphQLRequest(
        query=query,
        variables=_object(value, "variables"),
        operation_name=operation_name,
        extensions=extensions,
    )


def check_content_type(content_type: str | None) -> None:
    """Raise WrongMediaType for all but `application/json`, with no charset or UTF-8."""
    media_type, *parameters = (content_type or "").split(";")
    if media_type.strip().lower() != "application/json":
        raise WrongMediaType
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip().lower() == "charset" and charset.strip(' "').lower() not in ("utf-8", "utf8"):
            raise WrongMediaType


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    given = value.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidInput(f"`{name}` is {_name_of(given)}, expected an object.", path=[name])
    return given


def _name_of(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")
