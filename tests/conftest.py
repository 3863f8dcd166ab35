"""Fixtures of the functional tests: the nested host, this machine, and images."""
from __future__ import annotations

import compileall
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lib import images
from tests.lib.host import Host, HostError
from tests.lib.machine import CHECKOUT, Machine


def pytest_configure() -> None:
    """A test run that is told to end gives back what it holds, as with ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stands in functional/ is functional."""
    for item in items:
        if "functional" in item.path.parts:
            item.add_marker(pytest.mark.functional)


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A directory that is gone afterwards; those of test runs that were killed go first."""
    for stale in Path(tempfile.gettempdir()).glob("rkt-tests.*.*"):
        if not Path("/proc", stale.name.split(".")[1]).exists():
            if stale.is_mount():
                subprocess.run(["umount", stale], check=True)
            shutil.rmtree(stale)
    directory = Path(tempfile.mkdtemp(prefix=f"rkt-tests.{os.getpid()}."))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A directory that the nested host sees at the same path."""
    with temporary_directory() as directory:
        yield directory


def booted(shared: Path, layout: str) -> Iterator[Host]:
    """A nested host for as long as the fixture lives."""
    for stage in ("stage0", "stage1", "stage2"):   # the host sees the checkout read-only and could not write these
        compileall.compile_dir(str(CHECKOUT / stage), quiet=2)
    directory = shared / f"root-{layout}"
    directory.mkdir()
    try:
        host = Host(directory, shared, layout).boot()
    except HostError as err:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(err))
    yield host
    host.shut_down()


@pytest.fixture(scope="session")
def host(shared: Path) -> Iterator[Host]:
    """The nested host: systemd, D-Bus, machined, cgroup v2."""
    yield from booted(shared, "v2")


@pytest.fixture(scope="session")
def hybrid_host(shared: Path) -> Iterator[Host]:
    """A nested host with the v1 controllers, where limits on memory, CPU and tasks are enforced."""
    yield from booted(shared, "hybrid")


@pytest.fixture(scope="session")
def machine(shared: Path) -> Iterator[Machine]:
    """This machine itself, with a data directory on a tmpfs of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with temporary_directory() as data_dir:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "rkt-tests", data_dir], check=True)
        try:
            yield Machine(shared, data_dir)
        finally:
            subprocess.run(["umount", data_dir], check=True)


@pytest.fixture(scope="session")
def busybox(shared: Path) -> Path:
    """An image of busybox, example.com/busybox:1.0, whose app is a shell."""
    return images.build(shared / "busybox.aci", images.manifest("example.com/busybox"))
