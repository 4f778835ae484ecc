"""docs/settings.md, which is made from the settings."""

from pathlib import Path

from api.settings import Settings
from api.settings_page import settings_page

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_settings_page_is_up_to_date() -> None:
    up_to_date = PAGE.exists() and PAGE.read_text(encoding="utf-8") == settings_page()

    assert up_to_date, "run: .venv/bin/spaces doctor --markdown > docs/settings.md"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
