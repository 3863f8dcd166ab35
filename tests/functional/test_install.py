"""`make install`: a rkt that needs nothing of the checkout."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lib.host import Host
from tests.lib.machine import CHECKOUT

PREFIX = "/opt/rkt"


@pytest.fixture(scope="module")
def installed(host: Host) -> Path:
    """Where the files were put."""
    directory = host.file("installed")
    subprocess.run(["make", "--silent", "install", f"DESTDIR={directory}", f"PREFIX={PREFIX}"], cwd=CHECKOUT,
                   check=True)
    host.run("cp", "-a", f"{directory}{PREFIX}", PREFIX).ok()
    return directory


def test_files_are_in_their_places(installed: Path) -> None:
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if "lib/rkt/" not in str(path)}
    assert {"opt/rkt/bin/rkt", "opt/rkt/bin/actool", "opt/rkt/lib/systemd/system/rkt-gc.service",
            "opt/rkt/lib/systemd/system/rkt-gc.timer", "opt/rkt/lib/systemd/system/rkt-image-gc.timer",
            "opt/rkt/lib/tmpfiles.d/rkt.conf", "opt/rkt/lib/sysusers.d/rkt.conf",
            "opt/rkt/share/bash-completion/completions/rkt"} <= found
    assert list((installed / "opt/rkt/lib/rkt/stage0/cli/__pycache__").glob("main.*.pyc"))
    for path in installed.rglob("*"):
        if path.is_file() and path.suffix not in (".so", ".pyc"):
            content = path.read_bytes()
            assert str(CHECKOUT).encode() not in content and str(installed).encode() not in content, path


def test_the_installed_rkt_runs_a_pod(host: Host, installed: Path, busybox: Path) -> None:
    rkt = f"{PREFIX}/bin/rkt"
    assert host.run(rkt, "version").stdout.startswith("rkt Version: 2.")
    done = host.run("env", "-u", "PYTHONPATH", rkt, "--insecure-options=image", "run", busybox, "--exec=/bin/echo",
                    "--", "here")
    assert (done.returncode, done.stdout, done.stderr) == (0, "here\n", "")


def test_users_directories_and_units(host: Host, installed: Path) -> None:
    host.run("systemd-sysusers", f"{PREFIX}/lib/sysusers.d/rkt.conf").ok()
    assert host.run("getent", "group", "rkt", "rkt-admin").returncode == 0
    host.run("systemd-tmpfiles", "--create", f"{PREFIX}/lib/tmpfiles.d/rkt.conf").ok()
    assert host.run("stat", "-c", "%a %U %G", "/var/lib/rkt", "/etc/rkt").stdout.splitlines() == [
        "2750 root rkt", "2775 root rkt-admin"]
    for unit in ("rkt-gc.service", "rkt-gc.timer", "rkt-image-gc.service", "rkt-image-gc.timer"):
        host.run("ln", "-sf", f"{PREFIX}/lib/systemd/system/{unit}", "/run/systemd/system").ok()
        verified = host.run("systemd-analyze", "verify", f"{PREFIX}/lib/systemd/system/{unit}")
        assert (verified.returncode, verified.stderr) == (0, "")
    host.run("systemctl", "daemon-reload").ok()
    for service in ("rkt-gc.service", "rkt-image-gc.service"):
        host.run("systemctl", "start", service).ok()
        assert host.property(service, "Result") == "success"
