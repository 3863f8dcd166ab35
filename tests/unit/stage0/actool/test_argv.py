"""The command line of actool."""
from __future__ import annotations

import pytest

from stage0.actool import argv
from stage0.actool.argv import ArgumentError
from stage0.cli.argv import UsageError


def test_one_or_two_dashes_and_values_behind_or_beside():
    for words in (["-compression=xz", "-overwrite"], ["--compression", "xz", "--overwrite=true"],
                  ["-compression", "xz", "--overwrite=1"]):
        parsed = argv.parse(["build", *words, "d", "o.aci"])
        assert (parsed.flags["compression"], parsed.flags["overwrite"]) == ("xz", True)
        assert argv.arguments(parsed) == {"directory": "d", "output": "o.aci"}
    assert argv.parse(["build", "--overwrite=false"]).flags["overwrite"] is False


def test_flags_end_at_the_first_argument():
    parsed = argv.parse(["validate", "a", "--type=layout"])
    assert parsed.flags["type"] is None
    assert argv.arguments(parsed) == {"files": ("a", "--type=layout")}
    assert argv.arguments(argv.parse(["validate", "--", "-a"])) == {"files": ("-a",)}
    assert argv.arguments(argv.parse(["validate", "-"])) == {"files": ("-",)}


def test_flags_that_may_be_given_several_times_and_those_of_which_the_last_counts():
    parsed = argv.parse(["patch-manifest", "--label=a=1", "--label", "b=2", "--name=x", "--name=y", "i"])
    assert (parsed.flags["label"], parsed.flags["name"]) == (("a=1", "b=2"), "y")


def test_global_flags_stand_before_the_command():
    assert argv.parse(["-debug", "version"]).debug is True
    assert argv.parse(["--debug=false", "version"]).debug is False


@pytest.mark.parametrize("words, topic", [
    ([], ()), (["--help"], ()), (["-h"], ()), (["--debug"], ()), (["--help", "build"], ("build",)),
    (["build", "--help"], ("build",)), (["build", "-h", "x"], ("build",)), (["help", "build"], ("build",)),
])
def test_help(words, topic):
    parsed = argv.parse(words)
    assert (parsed.command.title, parsed.words) == ("help", topic)


@pytest.mark.parametrize("words, message", [
    (["biuld"], "unknown command biuld (did you mean build?)"),
    (["discover", "example.com/a"], "unknown command discover"),
    ([""], "unknown command "),
    (["--json"], "unknown flag --json"),
    (["build", "--overwirte"], "unknown flag --overwirte (did you mean --overwrite?)"),
    (["build", "--debug"], "unknown flag --debug (it goes before the command)"),
    (["build", "---overwrite"], "unknown flag ---overwrite (did you mean --overwrite?)"),
    (["build", "--overwrite=maybe"], "--overwrite: maybe is neither true nor false"),
    (["build", "--compression=lzma"], "--compression: lzma is none of gzip, bzip2, xz, zstd, none"),
    (["build", "--compression"], "--compression needs a value (gzip|bzip2|xz|zstd|none)"),
    (["validate", "-type=aci"], "--type: aci is none of appimage, layout, manifest"),
    (["patch-manifest", "--name"], "--name needs a value (NAME)"),
])
def test_a_command_line_that_cannot_be_parsed(words, message):
    with pytest.raises(UsageError) as failure:
        argv.parse(words)
    assert str(failure.value) == message


@pytest.mark.parametrize("words, message", [
    (["build"], "DIRECTORY is missing (usage: actool build [OPTIONS] DIRECTORY OUTPUT.aci)"),
    (["build", "d"], "OUTPUT.aci is missing (usage: actool build [OPTIONS] DIRECTORY OUTPUT.aci)"),
    (["build", "d", "o.aci", "--overwrite"], ("--overwrite is one argument too many: "
     "flags go before the arguments (usage: actool build [OPTIONS] DIRECTORY OUTPUT.aci)")),
    (["validate"], "FILE is missing (usage: actool validate [OPTIONS] FILE…)"),
    (["version", "x"], "x is one argument too many (usage: actool version)"),
    (["patch-manifest", "a", "b", "c"], (
        "c is one argument too many (usage: actool patch-manifest [OPTIONS] INPUT.aci [OUTPUT.aci])")),
])
def test_the_number_of_arguments(words, message):
    with pytest.raises(ArgumentError) as failure:
        argv.arguments(argv.parse(words))
    assert str(failure.value) == message
