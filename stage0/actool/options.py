"""The option table of actool: every command, its flags and its arguments, each declared once."""
from __future__ import annotations

from stage0.aci.compression import COMPRESSIONS
from stage0.cli.options import Argument, Command, Option, choice, flag, many, text

GLOBAL_OPTIONS = (
    flag("debug", "Say what is done, and show all causes of an error."),
    flag("help", "Show this help, or that of a command."),
)

_OVERWRITE = flag("overwrite", "Replace the output if it exists.")
_NO_COMPRESSION = flag("no-compression", "Write a plain tar; the same as --compression=none.")


def _compression(default: str) -> Option:
    return choice("compression", f"How the output is compressed: {', '.join(COMPRESSIONS)}; {default}.", *COMPRESSIONS)


_OUTPUT = Argument("output", "OUTPUT.aci", "Image to write.")
_INPUT = Argument("source", "INPUT.aci", "Image to read.")
_EDITS = (
    text("name", "NAME", "Replace the name of the image."),
    text("exec", "COMMAND", "Replace the command of the app, quoted as in a shell; makes the app if there is none."),
    text("user", "USER", "Replace the user."),
    text("group", "GROUP", "Replace the group."),
    text("supplementary-groups", "GID,…", "Replace the supplementary groups."),
    text("working-directory", "PATH", "Replace the working directory."),
    text("capability", "CAP_A,CAP_B", "Let the app keep these capabilities only; replaces all capability isolators."),
    text("revoke-capability", "CAP_A,CAP_B", "Take these capabilities away; replaces all capability isolators."),
    text("mounts", "NAME,path=PATH[,readOnly=true][:…]", "Replace the mount points."),
    text("add-mounts", "NAME,path=PATH[,readOnly=true][:…]", "Add mount points; one of the same name is replaced."),
    text("ports", "NAME,protocol=tcp,port=N[,count=N][,socketActivated=true][:…]", "Replace the ports."),
    text("add-ports", "NAME,protocol=tcp,port=N[,…][:…]", "Add ports; one of the same name is replaced."),
    text("isolators", "NAME,key=value[,…][:…]", "Add isolators: NAME,key=value,… or NAME,VALUE."),
    text("seccomp-mode", "remove|retain[,errno=ERRNO]", "Replace the seccomp isolator by one of this kind."),
    text("seccomp-set", "CALL,CALL…", "System calls of the new seccomp isolator."),
    many("label", "NAME=VALUE", "Set a label of the image; may be given several times."),
    many("remove-label", "NAME", "Remove a label."),
    many("annotation", "NAME=VALUE", "Set an annotation of the image; may be given several times."),
    many("remove-annotation", "NAME", "Remove an annotation."),
    many("environment", "NAME=VALUE", "Set an environment variable of the app; may be given several times."),
    many("remove-environment", "NAME", "Remove an environment variable."),
    many("dependency", "NAME[:VERSION][,label=VALUE…][,imageID=ID][,imageSize=BYTES]",
         "Add a dependency behind the others, or replace the one of the same name in its place."),
    many("remove-dependency", "NAME", "Remove the dependencies on an image."),
)

COMMANDS = (
    Command(("build",), "build", "Build an image from a directory with `manifest` and `rootfs/`.",
            (Argument("directory", "DIRECTORY", "Layout to read."), _OUTPUT), (
        _OVERWRITE,
        flag("owner-root", "Give all files to root (0:0)."),
        _compression("gzip unless told otherwise"),
        _NO_COMPRESSION,
    )),
    Command(("cat-manifest",), "cat_manifest", "Print the manifest of an image.",
            (Argument("file", "FILE.aci", "Image to read."),), (flag("pretty-print", "Indent the JSON."),)),
    Command(("help",), "help", "Show this help, or that of a command.",
            (Argument("topic", "COMMAND", "The command.", optional=True),)),
    Command(("patch-manifest",), "patch_manifest", "Copy an image with a changed manifest.",
            (_INPUT, _OUTPUT.replace(optional=True)), (
        text("manifest", "FILE", "Take the manifest from a file; goes with no other change."),
        *_EDITS,
        _OVERWRITE,
        flag("replace", "Change INPUT.aci itself."),
        _compression("gzip unless told otherwise, with --replace that of INPUT.aci"),
        _NO_COMPRESSION,
    )),
    Command(("validate",), "validate", "Check images, layouts and manifests.",
            (Argument("files", "FILE…", "What to check.", many=True),),
            (choice("type", "Take FILE for this and do not detect what it is.", "appimage", "layout", "manifest"),)),
    Command(("version",), "version", "Print the version."),
)

EDITS = tuple(option.key for option in _EDITS)


def usage(command: Command) -> str:
    """The shape of the command line."""
    words = [f"[{argument.metavar}]" if argument.optional else argument.metavar for argument in command.arguments]
    return " ".join(("actool", command.title, *(("[OPTIONS]",) if command.options else ()), *words))
