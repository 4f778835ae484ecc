"""What the tests may find absent, and what follows: a named skip here, an error where SPACES_CI is set."""

import faulthandler
import os
import shutil
import sys
from collections import Counter
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

# What a marker needs: the first of these programs that is on the path.
PROGRAMS = {
    "needs_chromium": ("chromium",),
    "needs_ffmpeg": ("ffmpeg",),
    "needs_espeak": ("espeak-ng",),
    "needs_faketime": ("faketime",),
    "needs_node": ("node",),
    "needs_strace": ("strace",),
    "needs_nginx": ("nginx",),
    "needs_systemd": ("systemd-analyze",),
    "needs_webkit": ("WebKitWebDriver",),
}
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

SKIPS_FORBIDDEN = bool(os.environ.get("SPACES_CI"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database postgres` runs every test of the product on PostgreSQL."""
    kinds = ("sqlite", "postgres")
    parser.addoption("--database", choices=kinds, help="where servers under test keep their rows")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an absent program, and name the program."""
    absent = {
        marker: programs[0]
        for marker, programs in PROGRAMS.items()
        if not any(shutil.which(program) for program in programs)
    }
    for item in items:
        for marker in absent.keys() & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.skip(reason=f"{absent[marker]} is not installed"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure where skips are forbidden."""
    report = yield
    return _forbid_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself as a whole."""
    report = yield
    return _forbid_skip(report)


def _forbid_skip(report: Report) -> Report:
    if SKIPS_FORBIDDEN and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"expected no skip where SPACES_CI is set, got: {reason}"
    return report


_executed: Counter[str] = Counter()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What servers in this process executed, for the summary."""
    town = sys.modules.get("tests.product.town")
    if town is not None:
        _executed.update(town.EXECUTED)
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["executed"] = dict(_executed)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The same from a worker of pytest-xdist."""
    _executed.update(getattr(node, "workeroutput", {}).get("executed", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many of the operations ran compiled."""
    if total := _executed.total():
        compiled = _executed["compiled"]
        told = f"{compiled} of {total} operations ran compiled, {100 * compiled / total:.1f} %"
        terminalreporter.write_line(f"{told}; again: {_executed['again']}")


@pytest.fixture
def patience() -> None:
    """For a test that takes longer than one may otherwise hang."""
    faulthandler.cancel_dump_traceback_later()
