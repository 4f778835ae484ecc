"""E-mail by SMTP."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import aiosmtplib
import structlog

from models.mail_address import MailAddress
from services.carriers import Carried, Message
from services.mail_security import MailSecurity

log = structlog.get_logger(__name__)

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over, and as whom."""

    host: str
    port: int
    username: str
    password: str
    security: MailSecurity
    sender: str


class MailCarrier:
    """Hands mail to one server. `domain` is ours, for message ids."""

    def __init__(self, server: MailServer, *, domain: str) -> None:
        self._server = server
        self._domain = domain

    async def carry(self, target: MailAddress, message: Message, *, now: datetime) -> Carried:
        """One notification to one address. GONE when the server will never take it."""
        mail = self._mail(target.address, message.text, now=now, message_id=message.id)
        mail["List-Unsubscribe"] = f"<{message.stop_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(f"{message.text}\n\n{message.url}\n\nNo more of these: {message.stop_url}\n")
        return await self._hand_over(mail, target.id)

    async def ask(self, target: MailAddress, *, url: str, now: datetime) -> Carried:
        """Ask the owner of an address whether they want mail."""
        mail = self._mail(
            target.address, "Do you want notifications from Spaces?", now=now, message_id=target.id
        )
        mail.set_content(
            "Somebody gave this address for notifications from Spaces. If it was you, confirm it here"
            f" within a day:\n\n{url}\n\nIf it was not you, there is nothing to do.\n"
        )
        return await self._hand_over(mail, target.id)

    def _mail(self, to: str, subject: str, *, now: datetime, message_id: UUID) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = Address("Spaces", addr_spec=self._server.sender)
        mail["To"] = Address(addr_spec=to)
        mail["Subject"] = subject
        mail["Date"] = format_datetime(now)
        # The same for the same notification, so that a second copy is known as one.
        mail["Message-ID"] = f"<{message_id}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        return mail

    async def _hand_over(self, mail: EmailMessage, subject_id: UUID) -> Carried:
        security = self._server.security
        options: dict[str, Any] = {
            "hostname": self._server.host,
            "port": self._server.port,
            "username": self._server.username or None,
            "password": self._server.password or None,
            "use_tls": security is MailSecurity.TLS,
            "start_tls": security is MailSecurity.STARTTLS,
            "timeout": _TIMEOUT_S,
        }
        try:
            await aiosmtplib.send(mail, **options)
        except aiosmtplib.SMTPRecipientsRefused as error:
            never = all(500 <= one.code < 600 for one in error.recipients)
            return Carried.GONE if never else Carried.LATER
        except (aiosmtplib.SMTPException, OSError) as error:
            log.warning("mail not taken", subject=str(subject_id), cause=type(error).__name__)
            return Carried.LATER
        return Carried.DONE
