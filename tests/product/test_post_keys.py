"""The key that browsers subscribe with."""

from pathlib import Path

from tests.product.town import open_town


async def test_keys_for_push_survive_a_restart(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        async with open_town(tmp_path / "data", quiet=True) as town:
            keys.append((await town.fetch("/notifications/push")).json()["publicKey"])
    assert keys[0] == keys[1]
    assert (tmp_path / "data" / "keys" / "vapid.pem").stat().st_mode & 0o077 == 0
