"""Measures the console in a pseudo-terminal of 120 columns and 40 lines.

python -m tests.system.terminal [--json | --markdown] [--case NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from importlib.metadata import version

from hooktui.bench.machine import this_machine
from tests.system.terminal.cases import CASES
from tests.system.terminal.report import Row, as_markdown, as_text


def main() -> int:
    """Run the cases and print their table; return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.terminal", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--markdown", action="store_true", help="for docs/understand/performance.md")
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; repeatable")
    options = parser.parse_args()
    machine, before = this_machine(), os.getloadavg()[0]
    rows: list[Row] = []
    broken: list[str] = []
    for name in options.case or CASES:
        print(f"{name} …", file=sys.stderr)
        try:
            rows.extend(CASES[name]())  # rows before a failure count
        except AssertionError as error:
            broken.append(name)
            print(f"{name} could not be measured: {str(error)[:400]}", file=sys.stderr)
    load = (before, os.getloadavg()[0])
    if options.json:
        result = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": asdict(machine) | {"textual": version("textual")},
            "load": load,
            "broken": broken,
            "rows": [row.fields() for row in rows],
        }
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{time.strftime('%Y-%m-%d', time.gmtime())}, hooktui {machine.hooktui}, Textual"
            f" {version('textual')}, Python {machine.python}, {machine.kernel}, {machine.cpus} CPUs"
            f" ({machine.processor}); load average {load[0]:.1f} before, {load[1]:.1f} after\n"
        )
        print(as_markdown(rows) if options.markdown else as_text(rows))
    return 1 if broken or any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
