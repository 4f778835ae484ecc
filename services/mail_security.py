"""Ways to a mail server; a setting, read before anything of mail is there."""

from enum import StrEnum


class MailSecurity(StrEnum):
    """How the connection to the mail server is secured."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"
