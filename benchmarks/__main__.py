"""`python -m benchmarks [NAME …] [--json]`: every module beside this one that has a `run` is a benchmark."""

import argparse
import asyncio
import importlib
import pkgutil
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

import benchmarks

# A benchmark answers rows of equal form under the name of what they measure.
Measured = dict[str, list[dict[str, Any]]]
Benchmark = Callable[[Callable[[str], None]], Coroutine[Any, Any, Measured]]


def found() -> dict[str, Benchmark]:
    """Benchmarks by name."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in sorted(names)}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def main(arguments: list[str]) -> int:
    """Run what is asked for, or everything."""
    known = found()
    parser = argparse.ArgumentParser(prog="benchmarks", description="Benchmarks: " + ", ".join(known))
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all when left out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"expected one of {', '.join(known)}, got {', '.join(unknown)}")
    console, notes = Console(), Console(stderr=True)
    results: dict[str, Measured] = {}
    with notes.status("") as status:
        for name in options.names or list(known):

            def say(doing: str, *, of: str = name) -> None:
                status.update(f"{of}: {doing}")

            results[name] = asyncio.run(known[name](say))
    if options.json:
        sys.stdout.write(orjson.dumps(results, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(results, console)
    return 0


def _print(results: dict[str, Measured], console: Console) -> None:
    for name, measured in results.items():
        for what, rows in measured.items():
            table = Table(title=f"{name}: {what}", title_justify="left")
            for column in rows[0]:
                table.add_column(column.replace("_", " "), justify="right")
            for row in rows:
                table.add_row(*("-" if value is None else str(value) for value in row.values()))
            console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
