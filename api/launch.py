"""Launching the media process that goes with the settings, before the heavy imports of a server."""

from api.settings import Settings
from media.launch import Launched, launch


def launch_media(settings: Settings) -> Launched:
    """Start the media process of this server. Raises OSError."""
    return launch(
        ice_address=settings.audio_address,
        ice_servers=settings.ice_servers,
        limits=settings.engine_limits(),
    )
