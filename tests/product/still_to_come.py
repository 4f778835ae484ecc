"""What the contract names and the server does not serve yet. It shrinks, and never grows."""

STILL_TO_COME: frozenset[str] = frozenset()
