"""The files that are made from the schema, and what the last release promised."""

from functools import cache
from pathlib import Path

from api.graphql.limits import Limits
from api.reference import breaking_changes, reference
from schema.build import build_schema

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "schema" / "schema.graphql"
RELEASED = ROOT / "schema" / "released.graphql"
PAGES = ROOT / "docs" / "api"


def write(*, release: bool) -> int:
    """Write all anew, as a `release` the schema that the next ones are compared with too; how many files."""
    made = _made()
    if release:
        made[RELEASED] = made[SCHEMA]
    PAGES.mkdir(parents=True, exist_ok=True)
    for path in _left_over(made):
        path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return len(made)


def faults() -> list[str]:
    """What is not as the served schema has it, and what breaks clients of the last release, a sentence each."""
    made = _made()
    stale = [
        path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    told = [
        f"{path.relative_to(ROOT)} is out of date. Run: make schema" for path in [*stale, *_left_over(made)]
    ]
    broken = breaking_changes(RELEASED.read_text(encoding="utf-8"), made[SCHEMA])
    return told + [f"This breaks clients of the last release: {change}" for change in broken]


def _made() -> dict[Path, str]:
    text, pages = _texts()
    return {SCHEMA: text, **{PAGES / name: page for name, page in pages.items()}}


@cache
def _texts() -> tuple[str, dict[str, str]]:
    text = build_schema().as_str() + "\n"
    return text, reference(text, cost=Limits().cost)


def _left_over(made: dict[Path, str]) -> list[Path]:
    return sorted(set(PAGES.glob("*.md")) - made.keys())
