"""Whether overlay can be used."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from stage0 import overlay


def fakes(tmp_path: Path, kind: str, filesystems: str = "nodev\toverlay\n\text4\n") -> dict[str, str]:
    device = os.stat(tmp_path).st_dev
    (tmp_path / "filesystems").write_text(filesystems)
    (tmp_path / "mountinfo").write_text(
        "21 1 0:19 / /proc rw - proc proc rw\n"
        f"22 1 {os.major(device)}:{os.minor(device)} / / rw,relatime shared:1 - {kind} /dev/vda rw\n")
    return {"filesystems": str(tmp_path / "filesystems"), "mountinfo": str(tmp_path / "mountinfo")}


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_usable(tmp_path: Path, kind: str) -> None:
    assert overlay.unusable(str(tmp_path), **fakes(tmp_path, kind)) is None
    assert not list(tmp_path.glob(".types-*"))


@pytest.mark.parametrize("kind", ["aufs", "zfs", "overlay"])
def test_file_systems_that_cannot_be_an_upper_layer(tmp_path: Path, kind: str) -> None:
    assert overlay.unusable(str(tmp_path), **fakes(tmp_path, kind)) == f"{tmp_path} is on {kind}"


def test_a_kernel_without_overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_load_module", lambda: None)
    reason = overlay.unusable(str(tmp_path), **fakes(tmp_path, "ext4", "nodev\toverlayish\n"))
    assert reason == "the kernel has no overlay file system"


def test_entries_without_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_has_entry_types", lambda _: False)
    reason = overlay.unusable(str(tmp_path), **fakes(tmp_path, "xfs"))
    assert reason == f"directory entries in {tmp_path} carry no type (d_type)"
