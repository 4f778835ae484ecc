"""docs/permissions.md, made from the table."""

import sys
from collections.abc import Iterable, Iterator

from services import suspension
from tests.product.permission_table import CHANGE_CELLS, FIELDS, ROOT_CELLS
from tests.product.permission_town import PEOPLE

_SHOWN = {"+": "✓", "0": "null", "y": "yes", "n": "no", ".": "·"}
_HEAD = """\
# Permissions

Who may see and do what: every field and mutation of the served schema. Whatever is looked at is the host's;
listener, speaker and co-host are those of the host's Spaces, and another host listens there too. The deleted account
comes with the token that it had.

| sign | a field | a mutation |
|---|---|---|
| ✓ | is told | may |
| null | null or empty | |
| yes, no | a viewer's own yes or no | |
| · | the object itself is not told | |
| A | UNAUTHENTICATED | UNAUTHENTICATED |
| F | FORBIDDEN | FORBIDDEN |
| N | NOT_FOUND | NOT_FOUND |
| T | | TICKET_REQUIRED |
| C, I | | CONFLICT, INVALID_INPUT: no question of right, but it makes no sense for this person |

This page is made from `tests/product/permission_table.py`, and every cell of it is tested over HTTP. A field or
mutation that has no row fails the tests: `.venv/bin/python -m tests.product.permission_page > docs/permissions.md`.

A suspended account reads what it could read, signs in, and may do what looks after its own: {suspended}.
The link of its export opens too. Everything else answers ACCOUNT_SUSPENDED, and its other links rest.
"""


def page() -> str:
    """Markdown: changes, then the roots, then a table for each type."""
    parts = [
        _HEAD.replace("{suspended}", ", ".join(f"`{name}`" for name in sorted(suspension.MUTATIONS))),
        _section("Changes", "mutation", CHANGE_CELLS.items()),
        _section("Roots", "field", ((name, cells) for name, cells in ROOT_CELLS.items())),
    ]
    for place, groups in FIELDS.items():
        parts.append(_section(place, "fields", ((names, cells) for cells, names in groups.items())))
    return "\n".join(parts)


def _section(title: str, what: str, rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{line}\n" for line in _lines(title, what, rows))


def _lines(title: str, what: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield f"| {what} | {' | '.join(PEOPLE)} |"
    yield "|---" * (len(PEOPLE) + 1) + "|"
    for name, cells in rows:
        yield f"| {name} | {' | '.join(_SHOWN.get(cell, cell) for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
