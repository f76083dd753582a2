#!/usr/bin/env python3
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare this collection with its peers, side by side in one run, and print ratios.

usage: run.py [objects] [site] -i INVENTORY

The inventory's cluster must stand (``make demo`` leaves one). Seconds are worth nothing on another machine; ratios are.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def play(playbook: str, inventory: str, **variables: object) -> float:
    """Run a playbook; return how long it took, in seconds. Raises with its output where it fails."""
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        begun = time.monotonic()
        # To a file, not a pipe: a pipe is held open by ssh's persistent master.
        done = subprocess.run(
            ["ansible-playbook", "-i", inventory, playbook, "-e", json.dumps(variables)], stdout=log, stderr=log, cwd=HERE.parent.parent, check=False
        )
        took = time.monotonic() - begun
        if done.returncode:
            log.seek(0)
            raise SystemExit(f"{playbook} failed:\n{log.read()[-4000:]}")
    return took


def objects(inventory: str) -> list[str]:
    """150 objects: first run and no-op."""
    numbers = range(50)
    declared = {
        "pools": [{"name": f"bulk-{n}", "pg_num": 1, "autoscale_mode": "off", "applications": ["rbd"]} for n in numbers],
        "clients": [{"name": f"client.bulk-{n}", "caps": {"mon": "profile rbd", "osd": f"profile rbd pool=bulk-{n}"}} for n in numbers],
        "options": {f"client.bulk-{n}": {"rbd_cache_size": "32M"} for n in numbers},
    }
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")
        play(str(HERE / "objects.yml"), inventory, bench_bulk=declared, bench_count=len(numbers), bench_result=result)
        measured = json.loads(pathlib.Path(result).read_text(encoding="utf-8"))
    marks = measured["marks"]
    spans = [later - earlier for earlier, later in zip(marks, marks[1:])]
    first_bulk, first_loop, again = spans[0], spans[1], spans[2:]
    bulk, loop = statistics.median(again[0::2]), statistics.median(again[1::2])
    return [
        f"| {measured['objects']} objects, first run | {first_bulk:.1f} s | {first_loop:.1f} s | {first_loop / first_bulk:.0f}× |",
        f"| {measured['objects']} objects, no-op | {bulk:.2f} s | {loop:.1f} s | {loop / bulk:.0f}× |",
    ]


def main() -> None:
    """Run what was asked for, one after the other, and print a table."""
    parts = {"objects": objects}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=list(parts))
    parser.add_argument("-i", "--inventory", default="inventories/lab")
    given = parser.parse_args()
    rows = [row for part in given.parts or parts for row in parts[part](given.inventory)]
    print("| what | this collection | the peer's way | ratio |", "|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
