"""What a suspended account may still do: look after what is its own. All else answers ACCOUNT_SUSPENDED."""

from services.links import LinkKind

# Leaving, taking its data along, deleting what it has recorded, and its word against a take-down.
MUTATIONS = frozenset({"signOut", "exportAccount", "deleteAccount", "deleteRecording", "appeal"})
LINKS = frozenset({LinkKind.EXPORT, LinkKind.EXPORT_WITH_RECORDINGS})
