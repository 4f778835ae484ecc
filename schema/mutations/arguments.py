"""The one argument of every mutation."""

from typing import Any

import strawberry

ASKED = strawberry.argument(description="What is asked for.")


def given(value: Any) -> Any:
    """An input field's value; None when it was left out."""
    return None if value is strawberry.UNSET else value
