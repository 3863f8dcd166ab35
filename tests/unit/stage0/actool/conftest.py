"""A small layout, and actool called in this process."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from stage0.actool.main import main

MANIFEST = {
    "acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/app",
    "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
    "app": {"exec": ["/bin/app"], "user": "0", "group": "0"},
}


class Tool:
    """actool in a directory of its own: status, lines of stdout and stderr of the last call."""

    def __init__(self, directory: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.capture = capture
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self.capture.readouterr()
        status = main(words)
        self.out, self.err = self.capture.readouterr()
        return status

    def write(self, name: str, content: str | dict) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def manifest(self, image: str) -> dict:
        """The manifest of an image."""
        assert self("cat-manifest", image) == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def actool(tmp_path, monkeypatch, capsys) -> Tool:
    """In a directory with the layout `layout`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    tool = Tool(tmp_path, capsys)
    tool.write("layout/manifest", MANIFEST)
    tool.write("layout/rootfs/bin/app", "#!/bin/sh\n")
    return tool


@pytest.fixture
def image(actool) -> str:
    """The name of an image made of the layout."""
    assert actool("build", "layout", "image.aci") == 0, actool.err
    return "image.aci"
