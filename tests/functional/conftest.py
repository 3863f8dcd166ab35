"""No test leaves a pod for the next one."""
from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def ended(request: pytest.FixtureRequest) -> Iterator[None]:
    """Kills what a test started and did not end; fixtures of a wider scope have their own."""
    names = {"host", "hybrid_host", "machine"} & set(request.fixturenames)
    machines = [(machine, len(machine.started)) for machine in map(request.getfixturevalue, names)]
    yield
    for machine, before in machines:
        for process in machine.started[before:]:
            if process.popen.poll() is None:
                with process:
                    pass
        del machine.started[before:]
