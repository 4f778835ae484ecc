"""What is installed and what is handed on: our names are ours alone, and the wheel is whole."""

import importlib.metadata
import importlib.util
import os
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "schema", "models", "workers", "services", "media")
DISTRIBUTION = "spaces-server"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from this tree, without a network or a second environment."""
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)  # hatchling builds the project that it stands in
    try:
        return zipfile.ZipFile(folder / build_wheel(str(folder)))
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", [*PACKAGES, "tests", "benchmarks"])
def test_no_other_distribution_owns_a_name_of_ours(name: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    spec = importlib.util.find_spec(name)

    assert owners <= {DISTRIBUTION}
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_every_file_of_a_package(wheel: zipfile.ZipFile, package: str) -> None:
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert f"{package}/__init__.py" in on_disk
    assert on_disk - set(wheel.namelist()) == set()


@pytest.mark.parametrize(
    "path",
    ["api/demo/host.opus", "api/demo/cohost.opus", "api/demo/speaker.opus", "api/demo/lines.toml"],
)
def test_the_wheel_holds_the_demo_conversation(wheel: zipfile.ZipFile, path: str) -> None:
    assert wheel.getinfo(path).file_size > 1000


def test_the_wheel_holds_the_migrations(wheel: zipfile.ZipFile) -> None:
    migrations = [name for name in wheel.namelist() if name.startswith("models/migrations/0")]

    assert migrations


@pytest.mark.parametrize("name", ["client", "graphiql"])
def test_the_wheel_holds_what_was_built_for_browsers(wheel: zipfile.ZipFile, name: str) -> None:
    if not (ROOT / f"api/static/{name}/index.html").exists():
        pytest.skip(f"{name} was not built, for want of Node.js")
    page = wheel.read(f"api/static/{name}/index.html").decode()

    assert f"/static/{name}/assets/" in page
    assert "<script>" not in page


def test_the_wheel_holds_nothing_but_the_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info" not in name}

    assert tops == set(PACKAGES)


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    assert "spaces = api.cli:main" in wheel.read(entry_points).decode()
