"""Deleting trees that somebody else filled."""
from __future__ import annotations

import os
from pathlib import Path

from stage0 import removal


def test_links_are_deleted_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path / "kept")
    removal.remove_tree(str(tree))
    assert not tree.exists()
    assert (tmp_path / "kept/file").exists()


def test_a_tree_deeper_than_there_are_descriptors_goes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    removal.remove_tree(str(tree))
    assert list(tmp_path.iterdir()) == []


def test_what_is_gone_already_is_no_error(tmp_path: Path) -> None:
    removal.remove_tree(str(tmp_path / "no/such"))
    removal.remove_tree(str(tmp_path / "none"))


def test_a_link_in_the_place_of_the_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").symlink_to("kept")
    try:
        removal.remove_tree(str(tmp_path / "tree"))
    except OSError as err:
        assert err.errno in (20, 40)
    assert (tmp_path / "kept").exists()
