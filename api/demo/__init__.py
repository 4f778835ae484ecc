"""The demo conversation: three voices, one Ogg Opus file each, and what they say."""
