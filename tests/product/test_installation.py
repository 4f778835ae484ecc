"""Rows and data folder belong together, and what is wrong from outside is said in a line."""

import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.product.command import spaces
from tests.product.court import open_court
from tests.product.databases import databases
from tests.product.town import open_town


async def test_nothing_is_purged_and_proven_in_a_folder_that_is_not_the_installations(tmp_path: Path) -> None:
    data, lost = tmp_path / "data", tmp_path / "unmounted"
    async with open_court(data) as court:
        await court.recorded()
    rows = databases.url(data) or f"sqlite://{data}/spaces.sqlite3"
    for folder in (lost, tmp_path / "another"):
        if folder is not lost:
            async with open_town(folder):
                pass
        status, said = await spaces(folder, "retention", "run", database_url=rows)
        assert status == 1
        assert "These rows belong to another data folder" in said
    assert list((lost / "recordings").iterdir()) == []
    assert (await spaces(data, "retention", "run"))[0] == 0


async def test_a_folder_whose_database_is_gone_does_not_begin_anew_in_silence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_court(data) as court:
        await court.recorded()
    status, said = await spaces(data, "retention", "run", database_url=f"sqlite://{tmp_path}/new.sqlite3")
    assert status == 1
    assert "has a database already" in said


async def test_a_new_database_beside_a_folder_without_recordings_is_taken(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_town(data):
        pass
    assert (await spaces(data, "retention", "run", database_url=f"sqlite://{tmp_path}/new.sqlite3"))[0] == 0


@pytest.mark.parametrize("command", [("migrate",), ("worker",), ("retention", "run"), ("audit", "verify")])
async def test_a_file_that_is_no_database_ends_every_command_with_a_line(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "spaces.sqlite3").write_bytes(b"no database " * 1000)
    status, said = await spaces(tmp_path, *command, database_url=f"sqlite://{tmp_path}/spaces.sqlite3")
    assert status == 1
    assert said.rstrip().endswith("spaces.sqlite3: file is not a database")
    assert "Traceback" not in said


async def test_a_database_that_a_newer_version_has_used_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/spaces.sqlite3"
    assert (await spaces(tmp_path, "migrate", database_url=url))[0] == 0
    with sqlite3.connect(tmp_path / "spaces.sqlite3") as rows:
        rows.execute(
            "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', '0099_future', '2030-01-01')"
        )
    rows.close()
    status, said = await spaces(tmp_path, "migrate", database_url=url)
    assert status == 1
    assert "A newer version has used this database." in said
    assert "0099_future" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "x", "SPACES_PORT: Input should be a valid integer"),
        ("log_level", "LOUD", "SPACES_LOG_LEVEL: "),
        ("trusted_proxies", "300.1.1.1", "SPACES_TRUSTED_PROXIES: '300.1.1.1' does not appear"),
        ("public_url", "ftp://example.org", "SPACES_PUBLIC_URL: expected an address that begins with http"),
        ("ice_links", "[[", 'error parsing value for field "ice_links"'),
        ("stripe_secret_key", "sk_live_of_ours", "set both SPACES_STRIPE_SECRET_KEY and"),
        ("secrets_dir", "/no/such/folder", "SPACES_SECRETS_DIR: expected a folder"),
    ],
)
async def test_a_wrong_setting_is_named_in_a_line_that_shows_no_secret(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    status, printed = await spaces(tmp_path, "serve", **{name: value})
    assert status == 1
    assert printed.startswith(said)
    assert "sk_live" not in printed
    assert "Traceback" not in printed


async def test_doctor_shows_no_credential_of_a_relay(tmp_path: Path) -> None:
    relay = '[{"url": "turn:relay.example.org", "username": "us", "credential": "hush"}]'
    assert "hush" not in (await spaces(tmp_path, "doctor", ice_links=relay))[1]


async def test_a_setting_that_is_misspelt_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    meant = "SPACES_PUBLC_URL is no setting; SPACES_PUBLIC_URL is one."
    _, printed = await spaces(tmp_path, "serve", publc_url="x", port="x")
    assert printed.startswith(meant)
    _, printed = await spaces(tmp_path, "doctor", publc_url="x", of_others="x")
    assert "SPACES_PUBLC_URL: there is no such setting. Did you mean SPACES_PUBLIC_URL?" in printed
    assert "SPACES_OF_OTHERS: there is no such setting.\n" in printed


async def test_the_version_can_be_asked_for(tmp_path: Path) -> None:
    assert await spaces(tmp_path, "--version") == (0, f"spaces {version('spaces-server')}\n")
