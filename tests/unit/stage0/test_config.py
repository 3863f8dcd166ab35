"""config: three directories of files → one Config; and `rkt config`."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from stage0 import config
from stage0.cli import main as entry
from stage0.config import Auth, Config, ConfigError, DockerAuth, Paths, Stage1

BASIC = {"rktKind": "auth", "rktVersion": "v1", "domains": ["a.com", "b.com:8080"], "type": "basic",
         "credentials": {"user": "u", "password": "p"}}
OAUTH = {**BASIC, "type": "oauth", "credentials": {"token": "t"}}
AWS = {**BASIC, "type": "aws", "credentials": {"accessKeyID": "i", "secretAccessKey": "s", "awsRegion": "eu-west-1"}}
DOCKER = {"rktKind": "dockerAuth", "rktVersion": "v1", "registries": ["registry-1.docker.io"],
          "credentials": {"user": "u", "password": "p"}}
PATHS = {"rktKind": "paths", "rktVersion": "v1", "data": "/data", "stage1-images": "/images"}
STAGE1 = {"rktKind": "stage1", "rktVersion": "v1", "name": "x.com/stage1", "version": "1", "location": "/s.aci"}


def put(directory: Path, name: str, content: object) -> str:
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def refusal(directory: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load([str(directory)])
    return str(caught.value)


def test_no_directories_are_an_empty_configuration(tmp_path: Path) -> None:
    assert config.load([str(tmp_path / "none"), str(tmp_path)]) == Config()
    assert config.paths([str(tmp_path / "none")]) == Paths()


def test_every_kind(tmp_path: Path) -> None:
    put(tmp_path, "auth.d/a.json", BASIC)
    put(tmp_path, "auth.d/b.json", {**OAUTH, "domains": ["c.com"]})
    put(tmp_path, "auth.d/c.json", {**AWS, "domains": ["d.com"]})
    put(tmp_path, "auth.d/d.json", DOCKER)
    put(tmp_path, "paths.d/a.json", PATHS)
    put(tmp_path, "stage1.d/a.json", STAGE1)
    assert config.load([str(tmp_path)]) == Config(
        auth=(Auth("a.com", "basic", (("user", "u"), ("password", "p"))),
              Auth("b.com:8080", "basic", (("user", "u"), ("password", "p"))),
              Auth("c.com", "oauth", (("token", "t"),)),
              Auth("d.com", "aws", (("accessKeyID", "i"), ("secretAccessKey", "s"), ("awsRegion", "eu-west-1")))),
        docker_auth=(DockerAuth("registry-1.docker.io", "u", "p"),),
        paths=Paths("/data", "/images"),
        stage1=Stage1("x.com/stage1", "1", "/s.aci"))


def test_a_later_directory_wins_host_by_host_and_field_by_field(tmp_path: Path) -> None:
    vendor, local = tmp_path / "vendor", tmp_path / "local"
    put(vendor, "auth.d/a.json", BASIC)
    put(local, "auth.d/other.json", {**OAUTH, "domains": ["b.com:8080"]})
    put(vendor, "paths.d/a.json", PATHS)
    put(local, "paths.d/a.json", {"rktKind": "paths", "rktVersion": "v1", "data": "/other"})
    put(vendor, "stage1.d/a.json", STAGE1)
    put(local, "stage1.d/a.json", {"rktKind": "stage1", "rktVersion": "v1", "location": "https://x.com/s.aci"})
    found = config.load([str(vendor), str(local)])
    assert [(auth.host, auth.type) for auth in found.auth] == [("a.com", "basic"), ("b.com:8080", "oauth")]
    assert found.paths == Paths("/other", "/images")
    assert found.stage1 == Stage1("x.com/stage1", "1", "https://x.com/s.aci")


def test_what_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, "paths.d/a.conf", "nonsense")
    put(tmp_path, "paths.d/below/a.json", "nonsense")
    put(tmp_path, "elsewhere.json", "nonsense")
    os.symlink(tmp_path / "elsewhere.json", tmp_path / "paths.d/link.json")
    assert config.load([str(tmp_path)]) == Config()


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("auth.d/a.json", "{", "not JSON: "),
    ("auth.d/a.json", [], "not a JSON object"),
    ("auth.d/a.json", {}, "rktKind: missing"),
    ("auth.d/a.json", {**BASIC, "rktKind": 1}, "rktKind: not a string"),
    ("auth.d/a.json", PATHS, "rktKind: paths is not auth or dockerAuth, which this directory is for"),
    ("paths.d/a.json", {**PATHS, "rktKind": "path"}, "rktKind: path is not paths, which this directory is for"),
    ("auth.d/a.json", {**BASIC, "rktVersion": "v2"}, "rktVersion: v2 is not v1"),
    ("auth.d/a.json", {**BASIC, "domains": []}, "domains: not a list of one or more names"),
    ("auth.d/a.json", {**BASIC, "domains": [""]}, "domains: not a list of one or more names"),
    ("auth.d/a.json", {**BASIC, "domains": ["a", "a"]}, "domains: a stands twice"),
    ("auth.d/a.json", {**BASIC, "type": "digest"}, "type: digest is none of basic, oauth, aws"),
    ("auth.d/a.json", {**BASIC, "credentials": {"user": ""}}, "credentials.user: empty"),
    ("auth.d/a.json", {**BASIC, "credentials": []}, "credentials: not an object"),
    ("auth.d/a.json", {**OAUTH, "credentials": {}}, "credentials.token: missing"),
    ("auth.d/a.json", {**AWS, "credentials": {"accessKeyID": "i"}}, "credentials.secretAccessKey: missing"),
    ("auth.d/a.json", {k: v for k, v in DOCKER.items() if k != "registries"}, "registries: missing"),
    ("paths.d/a.json", {**PATHS, "data": "x"}, "data: x is not an absolute path"),
    ("stage1.d/a.json", {**STAGE1, "version": ""}, "version: missing: name and version go together"),
    ("stage1.d/a.json", {**STAGE1, "location": "ftp://x"},
     "location: ftp://x is neither an absolute path nor a URL (file, docker, http, https)")])
def test_what_makes_no_sense_is_named_with_file_and_field(tmp_path: Path, name: str, content: object,
                                                          reason: str) -> None:
    file = put(tmp_path, name, content)
    assert refusal(tmp_path).startswith(f"{file}: {reason}")


@pytest.mark.parametrize(("directory", "content", "what"), [
    ("auth.d", BASIC, "auth a.com"), ("auth.d", DOCKER, "dockerAuth registry-1.docker.io"),
    ("paths.d", PATHS, "paths data"), ("stage1.d", STAGE1, "stage1 name version")])
def test_two_files_of_one_directory_that_set_one_thing(tmp_path: Path, directory: str, content: object,
                                                       what: str) -> None:
    first, second = put(tmp_path, f"{directory}/1.json", content), put(tmp_path, f"{directory}/2.json", content)
    assert refusal(tmp_path) == f"{second}: {what} is set in {first} already"


def test_the_data_directory_does_not_depend_on_other_files(tmp_path: Path) -> None:
    put(tmp_path, "auth.d/a.json", "{")
    put(tmp_path, "paths.d/a.json", PATHS)
    assert config.paths([str(tmp_path)]).data == "/data"


def rkt_config(tmp_path: Path, *words: str) -> int:
    return entry.main(["config", f"--system-config={tmp_path}/none", f"--local-config={tmp_path}", *words])


def test_rkt_config_prints_entries_in_the_syntax_of_the_files(tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "auth.d/a.json", BASIC)
    put(tmp_path, "auth.d/d.json", DOCKER)
    put(tmp_path, "paths.d/a.json", PATHS)
    put(tmp_path, "stage1.d/a.json", STAGE1)
    assert rkt_config(tmp_path, "--pretty-print=false") == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"stage0": [
        {**BASIC, "domains": ["a.com"]}, {**BASIC, "domains": ["b.com:8080"]}, DOCKER, PATHS, STAGE1]}
    assert rkt_config(tmp_path) == 0
    assert capsys.readouterr().out.startswith('{\n\t"stage0": [\n\t\t{\n')


def test_a_terminal_sees_no_secrets_unless_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("a", BASIC), ("b", {**OAUTH, "domains": ["c"]}), ("c", {**AWS, "domains": ["d"]})):
        put(tmp_path, f"auth.d/{name}.json", content)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert rkt_config(tmp_path) == 0
    shown = [entry["credentials"] for entry in json.loads(capsys.readouterr().out)["stage0"]]
    assert shown == [{"user": "u", "password": "********"}, {"user": "u", "password": "********"},
                     {"token": "********"},
                     {"accessKeyID": "i", "secretAccessKey": "********", "awsRegion": "eu-west-1"}]
    assert rkt_config(tmp_path, "--show-secrets") == 0
    assert '"password": "p"' in capsys.readouterr().out


def test_rkt_config_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "paths.d/a.json", {**PATHS, "data": "x"})
    assert rkt_config(tmp_path) == 254
    assert capsys.readouterr().err == f"config: {file}: data: x is not an absolute path\n"
