"""What is in deploy/: files for other programs, held to what those programs, and Spaces itself, understand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.settings import Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SECRETS = {
    "SPACES_DATABASE_URL": "postgres://spaces:quiet@db.example/spaces",
    "SPACES_STRIPE_SECRET_KEY": "sk_quiet",
    "SPACES_STRIPE_WEBHOOK_SECRET": "whsec_quiet",
    "SPACES_SMTP_PASSWORD": "quiet",
    "SPACES_STORE_SECRET": "quiet",
    "SPACES_ICE_LINKS": '[{"url": "turn:turn.example", "username": "u", "credential": "quiet"}]',
}


def run(program: str, *arguments: str | Path) -> str:
    """What a program of this environment complains of; nothing when it is content."""
    command = [Path(sys.executable).parent / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_the_image_is_written_as_images_should_be() -> None:
    assert run("hadolint", DEPLOY / "Dockerfile") == ""
    for name in re.findall(r"^COPY (?!--from)(\S+) ", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        assert (ROOT / name).exists(), name


@pytest.mark.long
def test_the_compose_file_is_one() -> None:
    checked = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert checked == ""


@pytest.mark.needs_systemd
def test_systemd_understands_every_word_of_the_units(tmp_path: Path) -> None:
    placed = [tmp_path / unit.name.replace("@.", "@1.") for unit in UNITS]
    for unit, place in zip(UNITS, placed, strict=True):
        place.write_text(unit.read_text().replace("/opt/spaces/bin/spaces", sys.executable))
    command = ["systemd-analyze", "verify", *map(str, placed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    about_ours = [line for line in done.stderr.splitlines() if "spaces" in line]
    assert (done.returncode, about_ours) == (0, [])


@pytest.mark.parametrize(
    "path", [*UNITS, DEPLOY / "compose.yaml", DEPLOY / "Dockerfile"], ids=lambda path: path.name
)
def test_every_setting_and_command_in_these_files_is_one(path: Path) -> None:
    text = path.read_text()
    known = {f"SPACES_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bSPACES_\w+", text)) <= known
    commands = set(re.findall(r"bin/spaces (\w+)|command: \[(\w+)\]|CMD \[\"(\w+)\"\]\Z", text.strip()))
    for found in commands:
        assert CliRunner().invoke(app, ["".join(found), "--help"]).exit_code == 0
    assert commands


def test_every_secret_can_come_from_a_file_and_a_variable_counts_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setenv("SPACES_SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("SPACES_DATABASE_URL", raising=False)
    settings = Settings()
    assert settings.database == SECRETS["SPACES_DATABASE_URL"]
    assert settings.stripe_secret_key.get_secret_value() == "sk_quiet"
    assert settings.stripe_webhook_secret.get_secret_value() == "whsec_quiet"
    assert settings.smtp_password == "quiet"
    assert settings.store_secret.get_secret_value() == "quiet"
    assert settings.ice_links[0].credential == "quiet"

    monkeypatch.setenv("SPACES_SMTP_PASSWORD", "loud")
    assert Settings().smtp_password == "loud"
    monkeypatch.setenv("SPACES_SECRETS_DIR", str(tmp_path / "nowhere"))
    assert "expected a folder, got" in CliRunner().invoke(app, ["doctor"]).output
