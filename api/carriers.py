"""The ways out of the house that the settings open."""

from pathlib import Path
from urllib.parse import urlsplit

from api.keys import load_or_make_ec
from api.settings import Settings
from models.delivery import Channel
from services.carriers import Carrier
from services.mail import MailCarrier, MailServer
from services.mail_security import MailSecurity
from services.outbound import Outbound
from services.push import PushCarrier


def carriers_for(settings: Settings, key_dir: Path) -> dict[Channel, Carrier]:
    """Web Push always, e-mail where a mail server is named."""
    domain = urlsplit(settings.public).hostname or "localhost"
    outbound = Outbound(allow_private=settings.push_private_addresses)
    contact = settings.public if settings.public.startswith("https://") else f"mailto:{settings.sender}"
    found: dict[Channel, Carrier] = {
        Channel.PUSH: PushCarrier(load_or_make_ec(key_dir / "vapid.pem"), outbound, contact=contact)
    }
    if settings.smtp_host:
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password,
            security=MailSecurity(settings.smtp_security),
            sender=settings.sender,
        )
        found[Channel.EMAIL] = MailCarrier(server, domain=domain)
    return found
