"""Money as ISO 4217 has it: whole numbers of a currency's smallest unit."""

from services.errors import InvalidInput

_LEAST, _MOST = 1, 999
# Decimals of the currencies that payment providers commonly take (ISO 4217, list one).
_DECIMALS = {
    currency: decimals
    for decimals, currencies in (
        (0, "CLP JPY KRW PYG VND XAF XOF XPF"),
        (
            2,
            "AED AUD BAM BGN BRL CAD CHF CNY COP CRC CZK DKK DOP EGP EUR GBP GEL GTQ HKD HUF IDR ILS INR KES",
        ),
        (
            2,
            "MAD MDL MKD MXN MYR NGN NOK NZD PEN PHP PLN QAR RON RSD SAR SEK SGD THB TRY TWD TZS UAH USD UYU ZAR",
        ),
        (3, "BHD JOD KWD OMR TND"),
    )
    for currency in currencies.split()
}


def price(amount_minor: int, currency: str) -> None:
    """Check a price: nothing, or 1 to 999 of a known currency. Raises InvalidInput."""
    decimals = _DECIMALS.get(currency)
    if decimals is None:
        raise InvalidInput(
            "currency must be a three-letter code of ISO 4217 in capitals that tickets are sold in, such as 'USD'.",
            path=["ticketing", "currency"],
        )
    least, most = _LEAST * 10**decimals, _MOST * 10**decimals
    if amount_minor and not least <= amount_minor <= most:
        raise InvalidInput(
            f"priceMinor must be 0 (free) or {least} to {most} in {currency}, got {amount_minor}.",
            path=["ticketing", "priceMinor"],
        )
    if decimals == 3 and amount_minor % 10:
        raise InvalidInput(
            f"priceMinor in {currency} must be a multiple of 10, got {amount_minor}.",
            path=["ticketing", "priceMinor"],
        )
