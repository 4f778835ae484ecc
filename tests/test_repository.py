"""What every file of the repository keeps to, and what the newcomer's first pages must show."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services.errors import ErrorCode

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Put together here, so that this file too names none of them.
INDEX_HOSTS = [
    ".".join(labels)
    for labels in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
    ]
]
MACHINE_PATH = re.compile(r"(?<![\w.~$}<*-])/(?:work|root|home|Users)/")
LOCKED = re.compile(r"^(?P<name>[a-zA-Z0-9_.-]+)==(?P<version>[^\s;]+)", re.MULTILINE)
MARKDOWN_LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)")


def tracked_files() -> list[Path]:
    """Files that git knows or would take; all text but the audio."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git clone, so nothing says which files belong to it")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listing.split("\0") if name)
    return [path for path in paths if path.is_file() and path.suffix != ".opus"]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """What every text file says, by its path in the repository."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in tracked_files()
    }


def locked(lock: str) -> dict[str, str]:
    """The version of each package that a lock file pins."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {canonicalize_name(found["name"]): found["version"] for found in LOCKED.finditer(text)}


def test_no_file_names_a_package_index(texts: dict[str, str]) -> None:
    assert [name for name, text in texts.items() if any(host in text for host in INDEX_HOSTS)] == []


def test_no_file_names_a_place_on_one_machine(texts: dict[str, str]) -> None:
    assert [name for name, text in texts.items() if MACHINE_PATH.search(text)] == []


@pytest.mark.parametrize("word", ["utils", "common", "core", "helpers"])
def test_no_python_module_is_named_for_nothing(texts: dict[str, str], word: str) -> None:
    modules = [name for name in texts if name.endswith(".py")]

    assert [name for name in modules if word in Path(name).with_suffix("").parts] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())

    assert len(blocks) > 40
    assert [block for block in blocks if not LOCKED.match(block) or "--hash=sha256:" not in block] == []


def test_the_locks_agree_with_each_other() -> None:
    runtime, everything = (locked(lock) for lock in LOCKS)

    assert {name: everything.get(name) for name in runtime} == runtime


def test_the_locks_meet_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        ("requirements.lock", project["project"]["dependencies"]),
        ("requirements-dev.lock", project["dependency-groups"]["dev"]),
    ]

    unmet = [
        str(requirement)
        for lock, requirements in wanted
        for requirement in map(Requirement, requirements)
        if locked(lock).get(canonicalize_name(requirement.name), "none") not in requirement.specifier
    ]

    assert unmet == []


@pytest.mark.parametrize(
    "path",
    [
        *sorted((ROOT / "web").glob("*/package-lock.json")),
        *sorted((ROOT / "tests").glob("*/node/package-lock.json")),
    ],
    ids=str,
)
def test_a_package_lock_names_no_place_to_download_from(path: Path) -> None:
    packages = json.loads(path.read_text(encoding="utf-8"))["packages"]

    assert [name for name, facts in packages.items() if "resolved" in facts] == []
    assert [name for name, facts in packages.items() if name and "integrity" not in facts] == []


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_the_readme_shows_the_two_commands(command: str) -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert any(line.strip().startswith(command) for line in lines)


def test_every_error_code_has_a_page() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "errors").glob("*.md")} - {"README"}

    assert pages == {code.value for code in ErrorCode}


def test_every_link_between_documents_leads_somewhere(texts: dict[str, str]) -> None:
    broken = [
        f"{name}: {found['target']}"
        for name, text in texts.items()
        if name.endswith(".md")
        for found in MARKDOWN_LINK.finditer(text)
        if not (ROOT / name).parent.joinpath(found["target"]).exists()
    ]

    assert broken == []
