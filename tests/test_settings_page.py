"""docs/settings.md, which is made from the settings."""

from pathlib import Path

import pytest

from api.doctor import settings_page
from api.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_settings_page_is_up_to_date() -> None:
    up_to_date = PAGE.exists() and PAGE.read_text(encoding="utf-8") == settings_page()

    assert up_to_date, "run: .venv/bin/spaces doctor --markdown > docs/settings.md"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_secret_comes_from_a_file_and_the_environment_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spaces_database_url").write_text("postgres://spaces:secret@db.example/spaces\n")
    (tmp_path / "spaces_smtp_password").write_text("other secret")
    monkeypatch.setenv("SPACES_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("SPACES_SMTP_PASSWORD", "from the environment")
    settings = Settings()
    assert settings.database == "postgres://spaces:secret@db.example/spaces"
    assert settings.smtp_password == "from the environment"
