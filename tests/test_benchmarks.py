"""Benchmarks are found by name; what they measure is for `make bench` to say."""

import json

import pytest

from benchmarks import __main__ as program
from benchmarks.__main__ import Measured, main


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


def test_an_unknown_name_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    told = capsys.readouterr().err
    assert "expected one of" in told
    assert "recording" in told
