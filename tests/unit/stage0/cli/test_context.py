"""context: the global options of one call, and where its lines go."""
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stage0.cli import argv
from stage0.cli.context import Context
from stage2.errors import RktError


def context(*words: str) -> Context:
    parsed = argv.parse([*words, "list"])
    return Context("list", parsed.common)


def test_the_data_directory_is_absolute_and_free_of_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    assert context("--dir=link").data_dir == f"{tmp_path}/real"


def test_the_order_of_data_directories(tmp_path: Path) -> None:
    none = (f"--system-config={tmp_path}/none", f"--local-config={tmp_path}/local")
    assert context(*none).data_dir == "/var/lib/rkt"
    (tmp_path / "local/paths.d").mkdir(parents=True)
    (tmp_path / "local/paths.d/a.json").write_text(
        json.dumps({"rktKind": "paths", "rktVersion": "v1", "data": f"{tmp_path}/configured"}))
    assert context(*none).data_dir == f"{tmp_path}/configured"
    assert context(*none, f"--dir={tmp_path}/given").data_dir == f"{tmp_path}/given"


def test_an_empty_data_directory_is_an_error() -> None:
    with pytest.raises(RktError, match=r"^--dir is empty$"):
        _ = context("--dir=").data_dir


def test_the_user_s_configuration_is_the_strongest() -> None:
    assert context("--user-config=/u", "--local-config=/l").config_dirs == ("/usr/lib/rkt", "/l", "/u")
    assert context().config_dirs == ("/usr/lib/rkt", "/etc/rkt")


def test_results_go_to_stdout_and_all_else_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    ctx = context()
    ctx.say("result")
    ctx.note("remark")
    ctx.debug_note("hidden")
    ctx.step("hidden")
    context("--debug").debug_note("shown")
    assert capsys.readouterr() == ("result\n", "list: remark\nlist: shown\n")


def test_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    context().require_root()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RktError, match="root privileges are needed"):
        context().require_root()
