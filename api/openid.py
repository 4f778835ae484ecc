"""OpenID Connect providers as the settings name them, made ready for asking."""

from collections.abc import Sequence
from datetime import timedelta

from api.openid_settings import OpenIdProvider
from services.clock import Clock
from services.openid import Provider
from services.openid_keys import Providers


def providers_for(named: Sequence[OpenIdProvider], *, clock: Clock) -> Providers | None:
    """The providers, or None where nobody signs in at one. They are not asked before the first token."""
    if not named:
        return None
    return Providers(
        [
            Provider(
                issuer=one.issuer,
                audiences=frozenset(one.audiences),
                algorithms=frozenset(one.algorithms),
                types=frozenset(kind.lower().removeprefix("application/") for kind in one.types),
                leeway=timedelta(seconds=one.leeway_s),
                keys_fresh_for=timedelta(minutes=one.keys_minutes),
                keys_kept_for=timedelta(hours=one.keys_kept_hours),
            )
            for one in named
        ],
        monotonic=clock.monotonic,
    )
