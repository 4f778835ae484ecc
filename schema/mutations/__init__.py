"""The mutation root, by subject."""
