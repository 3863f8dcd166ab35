"""Fault points: only where asked for, only in a data directory made for tests."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from stage0 import faultpoints
faultpoints.arm(sys.argv[1])
for number in range(3):
    faultpoints.reach("there")
    print(number, flush=True)
"""


@pytest.mark.parametrize(("wanted", "marked", "printed", "status"), [
    ("there", True, [], -9),
    ("there:2", True, ["0"], -9),
    ("elsewhere", True, ["0", "1", "2"], 0),
    ("there", False, ["0", "1", "2"], 0),
    (None, True, ["0", "1", "2"], 0),
])
def test_a_point_kills_only_a_test(
        tmp_path: Path, wanted: str | None, marked: bool, printed: list[str], status: int) -> None:
    if marked:
        (tmp_path / ".fault-injection").touch()
    environment = dict(os.environ) | ({"RKT_TEST_KILL_AT": wanted} if wanted else {})
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], env=environment, text=True,
                          stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert done.stdout.split() == printed
    assert done.returncode == status
