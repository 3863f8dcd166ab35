"""The option table: every command of rkt, its options and its arguments, each declared once.

The parser of the fast path (argv.py), help, usage errors, shell completion and the test of the
reference pages all read this table. A command is the module stage0/cli/MODULE.py with

    def command(ctx: Context, *, …) -> int

called with every option and argument of its entry by name, in snake_case; the value has the type
that the kind of the option tells. `--uuid-file` is the exception: main reads the file and hands
over its content as the argument that it stands for.
"""
from __future__ import annotations

from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Kinds of options, and what the command gets.
FLAG = "flag"            # bool: --x, --x=true|false|1|0|t|f
TEXT = "text"            # str, or None when absent
LIST = "list"            # tuple[str, ...], one for each time it is given
JOINED = "joined"        # str, or None: repetitions joined by commas
CHOICE = "choice"        # str, one of `choices`
DURATION = "duration"    # float, seconds: a Go duration
SECONDS = "seconds"      # float, seconds: a Go duration or a bare number
WAIT = "wait"            # float or None: seconds to wait, inf without limit, None not at all
INSECURE = "insecure"    # frozenset[str]: the single checks that are off

INSECURE_SINGLE = ("image", "tls", "http", "pubkey", "capabilities", "paths", "seccomp", "ondisk")
INSECURE_SETS = {
    "none": (),
    "all-fetch": ("image", "tls", "http", "pubkey"),
    "all-run": ("capabilities", "paths", "seccomp"),
    "all": ("image", "tls", "http", "pubkey", "capabilities", "paths", "seccomp"),
}


class Option(Value):
    """A long option. `bare` is its value when it stands without one; None: it needs one."""

    name: str
    kind: str
    help: str
    metavar: str = ""
    default: Any = None
    shown: str = ""                  # the default as help shows it, where str(default) does not tell
    choices: tuple[str, ...] = ()
    bare: str | None = None
    hidden: bool = False
    complete: str = ""               # what the shell completes its value with: see completion.py

    @property
    def key(self) -> str:
        """The name of the parameter that takes the value."""
        return self.name.replace("-", "_")


class Argument(Value):
    """A positional argument: one word, or all that follow."""

    name: str
    metavar: str
    help: str
    many: bool = False
    optional: bool = False
    complete: str = ""


class Command(Value):
    """A command. One without a module is a group, such as `image`."""

    words: tuple[str, ...]
    module: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    image_options: tuple[Option, ...] = ()   # apply to the image that precedes them
    images: bool = False                     # `words` are images with options and argument lists: images.py
    raw: bool = False                        # no options behind the first argument
    panel: str = ""                          # heading that help lists it under
    aliases: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def title(self) -> str:
        """The words of the command, as typed."""
        return " ".join(self.words)


def flag(name: str, text: str, *, default: bool = False, hidden: bool = False) -> Option:
    return Option(name, FLAG, text, default=default, bare="true", hidden=hidden)


def text(name: str, metavar: str, help: str, *, shown: str = "", hidden: bool = False, complete: str = "") -> Option:
    return Option(name, TEXT, help, metavar, shown=shown, hidden=hidden, complete=complete)


def many(name: str, metavar: str, help: str, *, complete: str = "") -> Option:
    return Option(name, LIST, help, metavar, (), complete=complete)


def choice(name: str, help: str, *choices: str, default: str | None = None) -> Option:
    return Option(name, CHOICE, help, "|".join(choices), default, choices=choices)


def duration(name: str, help: str, seconds: float, shown: str, kind: str = DURATION) -> Option:
    return Option(name, kind, help, "DURATION", seconds, shown)


GLOBAL_OPTIONS = (
    flag("debug", "Say what is done and how long it takes; show all causes of an error."),
    text("dir", "DIR", "Data directory: images, trees and pods.", shown="/var/lib/rkt", complete="dir"),
    Option("system-config", TEXT, "Configuration directory of the vendor.", "DIR", "/usr/lib/rkt", complete="dir"),
    Option("local-config", TEXT, "Configuration directory of the administrator.", "DIR", "/etc/rkt", complete="dir"),
    Option("user-config", TEXT, "Third configuration directory; it wins over the others.", "DIR", "", complete="dir"),
    Option("insecure-options", INSECURE, "Checks to switch off, comma separated.", "LIST", frozenset(), "none",
           choices=(*INSECURE_SETS, *INSECURE_SINGLE)),
    flag("trust-keys-from-https", "Accept keys found by discovery without asking, if they came over TLS."),
    flag("help", "Show help for the command."),
    flag("version", "Show the version.", hidden=True),
)

_UUID_FILE = text("uuid-file", "FILE", "Read the UUID of the pod from a file.", complete="file")
_APP = text("app", "APP", "Name of the app; needed when the pod has several.", complete="app")
_FORMAT = choice("format", "Print JSON, on one line or indented.", "json", "json-pretty")
_NO_LEGEND = flag("no-legend", "Leave out the line of column titles.")
_OVERWRITE = flag("overwrite", "Replace what is there.")
_ROOTFS_ONLY = flag("rootfs-only", "Write the root file system only, without the manifest.")
_PRETTY = flag("pretty-print", "Indent the JSON; with =false it is one line.", default=True)
_MOUNT = many("mount", "MOUNT", "Mount a volume, volume=NAME,target=PATH, into all apps.")

_STORE_ONLY = flag("store-only", "Same as --pull-policy=never.", hidden=True)
_NO_STORE = flag("no-store", "Same as --pull-policy=update.", hidden=True)


def _pull(default: str) -> tuple[Option, ...]:
    return (
        choice("pull-policy", "Use the store only, the store first, or ask the source each time.",
               "never", "new", "update", default=default),
        _STORE_ONLY, _NO_STORE,
    )


_POD_OPTIONS = (                     # of run and prepare
    text("name", "NAME", "Name of the pod, usable wherever a UUID is."),
    many("volume", "VOLUME", "Declare a volume: NAME,kind=host,source=PATH, with readOnly=BOOL and recursive=BOOL if"
         " wanted, or NAME,kind=empty, with mode=MODE, uid=UID, gid=GID if wanted."),
    _MOUNT,
    flag("inherit-env", "Pass the caller's environment to all apps; never overrides what an image sets."),
    many("set-env", "NAME=VALUE", "Set an environment variable in all apps."),
    text("set-env-file", "FILE", "Set environment variables from a file of NAME=VALUE lines.", complete="file"),
    flag("no-overlay", "Copy the images' trees instead of stacking them by overlay."),
    text("pod-manifest", "FILE", "Take the pod from a pod manifest instead of images and options.", complete="file"),
    *_pull("new"),
    text("uuid-file-save", "FILE", "Write the pod's UUID to a file as soon as the pod exists.", complete="file"),
)

_START_OPTIONS = (                   # of run and run-prepared
    Option("net", JOINED, "Network: host is the caller's; none, or no --net at all, is one with loopback only.",
           "host|none", shown="none", choices=("host", "none"), bare="default"),
    flag("interactive", "Give the app the terminal; the pod must have one app only."),
    text("hostname", "NAME", "Host name of the pod.", shown="rkt-UUID"),
    text("slice", "SLICE", "systemd slice of the pod's scope.", shown="the caller's"),
    many("property", "NAME=VALUE", "Set a systemd property of the pod's scope, such as MemoryMax=1G."),
    duration("stop-timeout", "How long the apps get to end before they are killed; a bare number is seconds.",
             10.0, "10s", SECONDS),
    flag("no-prefix", "In a pod of several apps, leave the prefix APP[PID]: off their output."),
)

_IMAGE_OPTIONS = (                   # of run and prepare, behind an image
    text("name", "NAME", "Name of the app.", shown="last part of the image name"),
    text("exec", "PATH", "Program to run instead of the image's command.", complete="none"),
    text("working-dir", "PATH", "Working directory.", complete="none"),
    text("user", "USER", "User: a name, a number, or a path whose owner is taken.", complete="none"),
    text("group", "GROUP", "Group: a name, a number, or a path whose group is taken.", complete="none"),
    text("supplementary-gids", "GID,…", "Supplementary groups, by number.", complete="none"),
    many("environment", "NAME=VALUE", "Set an environment variable of the app."),
    _MOUNT.replace(help="Mount a volume, volume=NAME,target=PATH, into the app."),
    flag("readonly-rootfs", "Make the app's root file system read-only."),
    many("annotation", "NAME=VALUE", "Add an annotation to the app in the pod manifest."),
    many("user-annotation", "NAME=VALUE", "Add a free-form annotation."),
    many("user-label", "NAME=VALUE", "Add a free-form label."),
)

_POD = Argument("uuid", "POD", "UUID of the pod, the start of one, or a pod's name.", complete="pod")
_PODS = _POD.replace(name="uuids", metavar="POD…", help="UUIDs of pods, starts of them, or names.", many=True)
_IMAGE = Argument("image", "IMAGE", "Image in the store: NAME[:VERSION][,LABEL=VALUE…] or sha512-HASH.",
                  complete="image")
_IMAGES = _IMAGE.replace(name="images", metavar="IMAGE…", help="Images in the store.", many=True)
_WORDS = Argument("words", "IMAGE [OPTIONS] [-- ARG… [---]] …", "Images: files, names or sha512-HASH.",
                  many=True, complete="image-or-file")
_TO_ACI = Argument("output", "OUT.aci", "File to write.", complete="file")
_TO_DIR = Argument("directory", "DIR", "Directory to write to.", complete="dir")

_FETCH = Command(("fetch",), "fetch", "Bring images into the store.",
                 (_WORDS.replace(metavar="IMAGE…"),),
                 (*_pull("update"), flag("full", "Print whole image IDs.")), images=True, panel="Images")

COMMANDS = (
    Command(("run",), "run", "Start a pod of one or more images, in the foreground.",
            (_WORDS,), (*_POD_OPTIONS, *_START_OPTIONS), _IMAGE_OPTIONS, images=True, panel="Pods"),
    Command(("prepare",), "prepare", "Make a pod ready to be started later, and print its UUID.",
            (_WORDS,), (*_POD_OPTIONS, flag("quiet", "Print nothing but the UUID.")),
            _IMAGE_OPTIONS, images=True, panel="Pods"),
    Command(("run-prepared",), "run_prepared", "Start a prepared pod, in the foreground.",
            (_POD,), (*_START_OPTIONS, _UUID_FILE), panel="Pods"),
    Command(("enter",), "enter", "Run a program in an app of a running pod.",
            (_POD, Argument("command_line", "COMMAND ARG…", "Program and its arguments, /bin/bash if none.",
                            many=True, optional=True)),
            (_APP, _UUID_FILE), raw=True, panel="Pods"),
    Command(("stop",), "stop", "End running pods.",
            (_PODS,), (flag("force", "Kill the apps at once."), _UUID_FILE), panel="Pods"),
    Command(("rm",), "rm", "Remove pods that do not run.", (_PODS,), (_UUID_FILE,), panel="Pods"),
    Command(("gc",), "gc", "Remove the pods that ended a while ago.", (), (
        duration("grace-period", "How long an ended pod is kept.", 1800.0, "30m"),
        duration("expire-prepared", "How long a prepared pod is kept.", 86400.0, "24h"),
        flag("mark-only", "Only mark what ended, remove nothing."),
    ), panel="Pods"),
    Command(("list",), "list", "List pods and their apps.", (), (
        _NO_LEGEND, flag("full", "Show whole UUIDs, image IDs and times."), _FORMAT,
    ), panel="State", aliases=("ls",)),
    Command(("status",), "status", "Show the state of a pod and how its apps ended.", (_POD,), (
        Option("wait", WAIT, "Wait until the pod ended, for as long as given.", "DURATION", bare="true"),
        Option("wait-ready", WAIT, "Wait until the apps are ready, for as long as given.", "DURATION", bare="true"),
        _FORMAT,
        flag("exit-status", "Exit with the status of the pod instead of 0."),
        _UUID_FILE,
    ), panel="State"),
    Command(("cat-manifest",), "cat_manifest", "Print the manifest of a pod.",
            (_POD,), (_PRETTY, _UUID_FILE), panel="State"),
    Command(("export",), "export", "Write an app of an ended pod to an image file.",
            (_POD, _TO_ACI), (_APP, _OVERWRITE, _UUID_FILE), panel="State"),
    _FETCH,
    Command(("image",), "", "Look at, write out and remove images in the store.", panel="Images"),
    Command(("image", "list"), "image_list", "List the images in the store.", (), (
        Option("fields", TEXT, "Columns to show, comma separated.", "LIST", "id,name,size,importtime,lastused",
               choices=("id", "name", "size", "importtime", "lastused")),
        choice("sort", "Column to sort by.", "importtime", "lastused", "name", "size", default="importtime"),
        choice("order", "Sort upwards or downwards.", "asc", "desc", default="asc"),
        _NO_LEGEND, flag("full", "Show whole image IDs, sizes in bytes and times."), _FORMAT,
    ), aliases=("ls",)),
    Command(("image", "cat-manifest"), "image_cat_manifest", "Print the manifest of an image.", (_IMAGE,), (_PRETTY,)),
    Command(("image", "export"), "image_export", "Write an image to a file.", (_IMAGE, _TO_ACI), (_OVERWRITE,)),
    Command(("image", "extract"), "image_extract", "Unpack an image, without its dependencies, to a directory.",
            (_IMAGE, _TO_DIR), (_ROOTFS_ONLY, _OVERWRITE)),
    Command(("image", "render"), "image_render", "Unpack an image and all it depends on to a directory.",
            (_IMAGE, _TO_DIR), (_ROOTFS_ONLY, _OVERWRITE)),
    Command(("image", "rm"), "image_rm", "Remove images from the store.", (_IMAGES,)),
    Command(("image", "verify"), "image_verify", "Check the rendered trees of images.", (_IMAGES,)),
    Command(("image", "gc"), "image_gc", "Remove what no pod uses and was not used for a while.", (), (
        duration("grace-period", "How long an image that no pod uses is kept.", 86400.0, "24h"),)),
    _FETCH.replace(words=("image", "fetch"), hidden=True),
    Command(("config",), "config", "Print the merged configuration.", (), (
        _PRETTY, flag("show-secrets", "Show passwords and tokens on a terminal too."),
    ), panel="Other"),
    Command(("completion",), "completion", "Print the completion script of a shell.",
            (Argument("shell", "bash|zsh|fish", "The shell.", complete="shell"),), panel="Other"),
    Command(("version",), "version", "Print versions.", panel="Other"),
    Command(("help",), "help", "Show help for a command.",
            (Argument("words", "COMMAND…", "The command.", many=True, optional=True, complete="command"),),
            panel="Other"),
    Command(("__complete",), "complete", "Print what could follow on a command line.",
            (Argument("words", "WORD…", "The command line so far.", many=True, optional=True),), raw=True, hidden=True),
)


def children(path: tuple[str, ...]) -> list[Command]:
    """The commands right below a path, hidden ones too."""
    return [command for command in COMMANDS if command.words[:-1] == path]


def command(*words: str) -> Command:
    """The command of these exact words."""
    return next(command for command in COMMANDS if command.words == words)
