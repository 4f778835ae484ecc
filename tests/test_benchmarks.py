"""Benchmarks are found by name; what they measure is for `make bench` to say."""

import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from benchmarks import __main__ as program
from benchmarks.__main__ import Measured, main
from benchmarks.plots import plot


def test_every_module_with_a_run_is_a_benchmark() -> None:
    assert "recording" in program.found()
    assert "crowd" not in program.found()


async def _quick(_say: object) -> Measured:
    return {"cost": [{"speakers": 1, "ffmpeg_ms": None}]}


def test_results_are_printed_as_json_or_as_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "found", lambda: {"quick": _quick})
    assert main(["quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"quick": {"cost": [{"speakers": 1, "ffmpeg_ms": None}]}}
    assert main([]) == 0
    assert "quick: cost" in capsys.readouterr().out


def test_results_are_drawn_as_bars_whose_longest_is_the_dearest(tmp_path: Path) -> None:
    rows = [
        {"database": "sqlite", "server": name, "cpu_us_per_operation": us}
        for name, us in (("compiled", 1500), ("a <rival>", 15_000), ("not there", None))
    ]
    (path,) = plot({"timeline": {"cost": rows}, "hostile": {}}, tmp_path / "plots")
    texts = [one.text for one in fromstring(path.read_text()).iter() if one.tag.endswith("text")]
    assert texts[1:] == ["sqlite, compiled", "1,500", "sqlite, a <rival>", "15,000"]
    widths = [int(one.get("width", 0)) for one in fromstring(path.read_text()).iter() if one.get("fill")]
    assert widths[2] == 10 * widths[1]


def test_an_unknown_name_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    told = capsys.readouterr().err
    assert "expected one of" in told
    assert "recording" in told
