"""argv: a command line → a command and its values."""
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage0.cli import argv, options
from stage0.cli.argv import CommandError, CommandMissing, UsageError, parse


def values(*words: str) -> dict[str, object]:
    return parse(words).values


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(words)
    return str(caught.value)


def test_every_value_of_a_command_has_its_default() -> None:
    assert values("status", "pod") == {
        "wait": None, "wait_ready": None, "format": None, "exit_status": False, "uuid_file": None, "uuid": "pod"}


@pytest.mark.parametrize(("word", "title"), [
    ("run", "run"), ("stat", "status"), ("sto", "stop"), ("l", "list"), ("ls", "list"), ("run-", "run-prepared"),
    ("cat", "cat-manifest"), ("en", "enter"), ("v", "version")])
def test_commands_may_be_cut_short_or_have_another_name(word: str, title: str) -> None:
    assert argv.find(word, ()).title == title


@pytest.mark.parametrize(("words", "title"), [
    (("image", "list"), "image list"), (("im", "l"), "image list"), (("image", "cat", "x"), "image cat-manifest"),
    (("image", "--debug", "rm", "x"), "image rm"), (("image", "fetch", "x"), "image fetch")])
def test_commands_below_image(words: tuple[str, ...], title: str) -> None:
    assert parse(words).command.title == title


@pytest.mark.parametrize(("words", "text"), [
    (("st",), "st could be any of stop, status"),
    (("rn",), "unknown command rn (did you mean run?)"),
    (("frobnicate",), "unknown command frobnicate"),
    (("__comp", "x"), "unknown command __comp"),
    (("image", "lits"), "unknown command lits (did you mean list?)")])
def test_unknown_and_unclear_commands(words: tuple[str, ...], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(words)
    assert str(caught.value) == text
    assert caught.value.words == (("image",) if words[0] == "image" else ())


@pytest.mark.parametrize(("words", "path"), [((), ()), (("--debug",), ()), (("image",), ("image",))])
def test_a_missing_command(words: tuple[str, ...], path: tuple[str, ...]) -> None:
    with pytest.raises(CommandMissing) as caught:
        parse(words)
    assert caught.value.words == path


@pytest.mark.parametrize("words", [
    ("--debug", "--dir=/d", "run", "a", "b"), ("run", "--debug", "--dir", "/d", "a", "b"),
    ("run", "a", "--debug", "--dir=/d", "b"), ("run", "a", "b", "--dir", "/d", "--debug=t")])
def test_global_options_may_stand_anywhere(words: tuple[str, ...]) -> None:
    common = parse(words).common
    assert (common["debug"], common["dir"]) == (True, "/d")


def test_global_options_in_the_arguments_of_an_app_are_not_ours() -> None:
    parsed = parse(["run", "a", "--", "--debug", "--dir=/d"])
    assert (parsed.common["debug"], parsed.common["dir"]) == (False, None)
    assert parsed.values["words"] == ("a", "--", "--debug", "--dir=/d")


@pytest.mark.parametrize("text", argv.TRUE)
def test_true(text: str) -> None:
    assert values("list", f"--full={text}")["full"] is True


@pytest.mark.parametrize("text", argv.FALSE)
def test_false(text: str) -> None:
    assert values("list", f"--full={text}", "--no-legend")["full"] is False
    assert values("cat-manifest", "pod", f"--pretty-print={text}")["pretty_print"] is False


def test_a_flag_takes_no_second_word() -> None:
    assert refusal("list", "--full", "false").startswith("false is one argument too many")
    assert refusal("list", "--full=maybe") == "--full: maybe is neither true nor false"


@pytest.mark.parametrize(("text", "seconds"), [
    ("0", 0), ("0s", 0), ("10s", 10), ("1h30m", 5400), ("24h", 86400), ("500ms", 0.5), ("1.5h", 5400), (".5s", 0.5),
    ("1m0.5s", 60.5), ("100us", 1e-4), ("100µs", 1e-4), ("100μs", 1e-4), ("7ns", 7e-9), ("+3s", 3), ("1.s", 1)])
def test_durations(text: str, seconds: float) -> None:
    assert argv.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "reason"), [
    ("", "nothing is not a duration such as 1h30m, 24h, 10s or 500ms"),
    ("10", "10 has no unit (h, m, s, ms, us or ns)"),
    ("1h30", "1h30 has no unit (h, m, s, ms, us or ns)"),
    ("-1s", "-1s is below zero"),
    ("s", "s is not a duration such as 1h30m, 24h, 10s or 500ms"),
    ("1d", "1d is not a duration such as 1h30m, 24h, 10s or 500ms"),
    ("1..5s", "1..5s is not a duration such as 1h30m, 24h, 10s or 500ms"),
    ("1h-5m", "1h-5m is not a duration such as 1h30m, 24h, 10s or 500ms"),
    (".s", ".s is not a duration such as 1h30m, 24h, 10s or 500ms")])
def test_what_is_no_duration(text: str, reason: str) -> None:
    assert refusal("gc", f"--grace-period={text}") == f"--grace-period: {reason}"


@given(hours=st.integers(0, 10**4), minutes=st.integers(0, 59), millis=st.integers(0, 59999))
def test_durations_as_go_writes_them(hours: int, minutes: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{millis / 1000:.3f}s"
    assert argv.duration(text) == pytest.approx(hours * 3600 + minutes * 60 + millis / 1000)


@given(st.text())
def test_a_duration_is_read_or_refused(text: str) -> None:
    try:
        assert argv.duration(text) >= 0
    except ValueError as err:
        assert text in str(err) or "nothing" in str(err)


@pytest.mark.parametrize(("word", "seconds"), [
    ("--wait", math.inf), ("--wait=true", math.inf), ("--wait=1", math.inf), ("--wait=false", None),
    ("--wait=0", None), ("--wait=10s", 10.0), ("--wait-ready", None)])
def test_wait(word: str, seconds: float | None) -> None:
    assert values("status", word, "pod")["wait"] == seconds


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("1.5", 1.5), ("2m", 120), ("0", 0)])
def test_a_stop_timeout_may_be_a_bare_number(text: str, seconds: float) -> None:
    assert values("run", f"--stop-timeout={text}", "a")["stop_timeout"] == seconds


def test_the_stop_timeout_is_a_time() -> None:
    assert values("run", "a")["stop_timeout"] == 10.0
    assert refusal("run", "--stop-timeout=soon", "a") == (
        "--stop-timeout: soon is not a duration such as 1h30m, 24h, 10s or 500ms")


def test_net_needs_no_value_and_repetitions_add_up() -> None:
    assert values("run", "a")["net"] is None
    assert values("run", "--net", "a")["net"] == "default"
    assert values("run", "--net=host", "a")["net"] == "host"
    assert values("run", "--net=n1:IP=1.2.3.4", "a", "--net=n2,n3")["net"] == "n1:IP=1.2.3.4,n2,n3"


@pytest.mark.parametrize(("text", "off"), [
    ("none", ""), ("image", "image"), ("IMAGE,Http", "image http"), ("all-fetch", "image tls http pubkey"),
    ("all-run", "capabilities paths seccomp"), ("ondisk", "ondisk"),
    ("all", "image tls http pubkey capabilities paths seccomp"), ("image, tls", "image tls")])
def test_insecure_options(text: str, off: str) -> None:
    assert parse(["list", f"--insecure-options={text}"]).common["insecure_options"] == frozenset(off.split())


@pytest.mark.parametrize(("text", "reason"), [
    ("imgae", ("imgae is none of none, all-fetch, all-run, all, image, tls, http, pubkey, capabilities, paths, "
               "seccomp, ondisk")),
    ("image,image", "image is given twice"), ("", "nothing is none of none, all-fetch"), ("image,", "nothing is none")])
def test_insecure_options_that_are_none(text: str, reason: str) -> None:
    assert refusal("list", f"--insecure-options={text}").startswith(f"--insecure-options: {reason}")


@pytest.mark.parametrize(("words", "text"), [
    (("list", "--ful"), "unknown option --ful (did you mean --full?)"),
    (("list", "-full"), "unknown option -full (did you mean --full?)"),
    (("list", "-x"), "unknown option -x"),
    (("run", "--memory=1G", "a"), "unknown option --memory"),
    (("run", "a", "--cpu", "1"), "unknown option --cpu"),
    (("run", "a", "--port=http:80"), "unknown option --port"),
    (("--nope", "list"), "unknown option --nope"),
    (("list", "--format"), "--format needs a value (json|json-pretty)"),
    (("list", "--format=yaml"), "--format: yaml is none of json, json-pretty"),
    (("image", "list", "--order=up"), "--order: up is none of asc, desc")])
def test_options_that_make_no_sense(words: tuple[str, ...], text: str) -> None:
    assert refusal(*words) == text


@pytest.mark.parametrize(("words", "text"), [
    (("status",), "POD is missing (usage: rkt status [OPTIONS] POD | --uuid-file=FILE)"),
    (("stop",), "POD is missing (usage: rkt stop [OPTIONS] POD… | --uuid-file=FILE)"),
    (("status", "a", "b"), ("b is one argument too many: there is nothing it could be "
                           "(usage: rkt status [OPTIONS] POD | --uuid-file=FILE)")),
    (("status", "--uuid-file=f", "a"), ("a is one argument too many: --uuid-file names the pod already "
                                       "(usage: rkt status [OPTIONS] POD | --uuid-file=FILE)")),
    (("rm", "--uuid-file=f", "a"), ("a is one argument too many: --uuid-file names the pod already "
                                   "(usage: rkt rm [OPTIONS] POD… | --uuid-file=FILE)")),
    (("export", "a"), "OUT.aci is missing (usage: rkt export [OPTIONS] (POD | --uuid-file=FILE) OUT.aci)"),
    (("run",), "IMAGE is missing (usage: rkt run [OPTIONS] IMAGE [OPTIONS] [-- ARG… [---]] …)"),
    (("image", "rm"), "IMAGE is missing (usage: rkt image rm [OPTIONS] IMAGE…)"),
    (("list", "x"), "x is one argument too many: there is nothing it could be (usage: rkt list [OPTIONS])")])
def test_the_number_of_arguments(words: tuple[str, ...], text: str) -> None:
    assert refusal(*words) == text


def test_a_uuid_file_stands_for_the_first_argument() -> None:
    assert values("export", "--uuid-file=f", "out.aci") == {
        "app": None, "overwrite": False, "uuid_file": "f", "uuid": None, "output": "out.aci"}
    assert values("rm", "--uuid-file=f")["uuids"] == ()
    assert values("enter", "--uuid-file=f", "ls", "-l")["command_line"] == ("ls", "-l")


def test_options_may_follow_arguments_and_two_dashes_end_them() -> None:
    assert values("status", "a", "--exit-status")["exit_status"] is True
    assert values("rm", "a", "--", "--b")["uuids"] == ("a", "--b")
    assert values("rm", "-")["uuids"] == ("-",)


@pytest.mark.parametrize(("words", "command_line"), [
    (("u", "ls", "-l", "--debug"), ("ls", "-l", "--debug")), (("u", "--", "ls", "-l"), ("ls", "-l")),
    (("--app=a", "u"), ()), (("u", "sh", "--", "x"), ("sh", "--", "x"))])
def test_enter_hands_over_all_behind_the_pod(words: tuple[str, ...], command_line: tuple[str, ...]) -> None:
    found = values("enter", *words)
    assert (found["uuid"], found["command_line"]) == ("u", command_line)


def test_enter_by_uuid_file_keeps_two_dashes_of_the_program() -> None:
    assert values("enter", "--uuid-file=f", "sh", "--", "x")["command_line"] == ("sh", "--", "x")
    assert values("enter", "--uuid-file=f", "--", "sh", "-c", "x")["command_line"] == ("sh", "-c", "x")


@pytest.mark.parametrize(("words", "path"), [
    (("--help",), ()), (("-h",), ()), (("run", "--help"), ("run",)), (("run", "a", "-h"), ("run",)),
    (("image", "--help"), ("image",)), (("image", "rm", "--help"), ("image", "rm")), (("--help", "stat"), ("status",)),
    (("help", "image", "rm"), ("image", "rm"))])
def test_help_wherever_it_is_asked_for(words: tuple[str, ...], path: tuple[str, ...]) -> None:
    parsed = parse(words)
    assert (parsed.command.title, parsed.values) == ("help", {"words": path})


def test_help_in_the_arguments_of_an_app_is_the_app_s() -> None:
    assert parse(["run", "a", "--", "--help"]).command.title == "run"
    assert parse(["enter", "u", "ls", "--help"]).command.title == "enter"


def test_version_as_an_option() -> None:
    assert parse(["--version"]).command.title == "version"


def test_a_pod_manifest_needs_no_image() -> None:
    assert values("run", "--pod-manifest=f")["words"] == ()


def test_names_and_modules_are_unique_and_every_metavar_is_there() -> None:
    titles = [command.title for command in options.COMMANDS]
    assert len(titles) == len(set(titles))
    for command in options.COMMANDS:
        for table in (command.options, command.image_options):
            keys = [option.key for option in table]
            assert len(keys) == len(set(keys)), command.title
            for option in table:
                assert option.metavar or option.kind == options.FLAG, option.name
                assert option.help.endswith("."), option.name
        assert not {o.key for o in command.options} & {o.key for o in options.GLOBAL_OPTIONS}
