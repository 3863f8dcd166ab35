"""What help tells of a command beyond the option table: a description, and examples."""
from __future__ import annotations

DESCRIPTIONS = {
    "run": """\
Makes a pod of the images and becomes its supervisor: the process that the caller started is the one that runs
until the pod ends, and its exit status is that of the first app that failed, or 0.

An image is a file, a name in the store, or sha512-HASH. Options behind an image apply to the app of that image;
words between -- and --- are appended to its command. All other options may stand anywhere.""",
    "prepare": """\
Does all of the work of `rkt run` but the start, and prints the UUID of the pod. `rkt run-prepared` starts it.""",
    "run-prepared": """\
Starts a pod that `rkt prepare` made, in the foreground. A pod can be started once.""",
    "enter": """\
Runs a program beside an app that runs: in its namespaces and cgroup, with its capabilities and filters. The exit
status is that of the program. Options stand before the pod; whatever follows it is the program and its arguments.""",
    "stop": """\
Asks the apps of each pod to end, waits, and kills what is left after the stop timeout of the pod. Prints the UUID
of each pod that ended. A pod that ended already counts as stopped.""",
    "rm": """\
Removes pods that ended, failed to start, or were prepared and never started. A running pod is refused.""",
    "gc": """\
Marks pods that ended and removes those that were marked longer than the grace period ago, with those whose
preparation failed. Pods that are in use are left alone.""",
    "list": """\
Shows one line for each app. The state of a pod is one of embryo, preparing, aborted prepare, prepared, running,
exited, exited garbage, exited deleting, garbage and deleting.""",
    "status": """\
Shows `key=value` lines: state, times, networks, process ID, and the exit status of each app that ended.""",
    "cat-manifest": "Prints the pod manifest as it was made when the pod was prepared, as JSON.",
    "export": """\
Writes the root file system of an app, with all that the app changed in it, to an image file. The pod must have
ended.""",
    "fetch": """\
Imports images, with all images that they depend on, and prints the ID of each. An image is a file or a name.""",
    "image": "Images in the store. IMAGE is NAME[:VERSION][,LABEL=VALUE…], or sha512- and the first digits of an ID.",
    "image list": "Shows one line for each image; SIZE is that of the image file and its unpacked tree together.",
    "image cat-manifest": "Prints the manifest of an image, as JSON.",
    "image export": "Writes the image to a file, as an uncompressed archive.",
    "image extract": "Unpacks this image alone. `rkt image render` unpacks it with the images that it depends on.",
    "image render": "Unpacks an image as an app would see it, with the images that it depends on.",
    "image rm": "Removes images and their unpacked trees. What a running pod needs stays until the pod ended.",
    "image verify": "Compares unpacked trees with what was recorded when they were made, and makes damaged ones anew.",
    "image gc": "Removes unpacked trees that no pod uses, then images that were not used for the grace period.",
    "config": """\
Prints what the files of the vendor's, the administrator's and the user's configuration directories say together, one
object an entry, in the syntax of the files.""",
    "completion": """\
Prints a script that completes commands, options, pods, apps and images.

  bash: source <(rkt completion bash)
  zsh:  rkt completion zsh > "${fpath[1]}/_rkt"
  fish: rkt completion fish > ~/.config/fish/completions/rkt.fish""",
    "version": "Prints the versions of rkt, of the App Container specification and of the interpreter.",
    "help": "Shows what a command does and which options it has. `rkt COMMAND --help` is the same.",
}

EXAMPLES = {
    "": (
        ("Run an image file", "rkt run --insecure-options=image app.aci"),
        ("What runs, and what ran", "rkt list"),
        ("A shell in a running pod", "rkt enter POD /bin/sh"),
    ),
    "run": (
        ("One app, and arguments for it", "rkt run example.com/app:1.2 -- --port 8080"),
        ("A shell", "rkt run --interactive busybox.aci --exec=/bin/sh"),
        ("Two apps in one pod", "rkt run db.aci --name=db -- -v --- web.aci --name=web"),
        ("A directory of the host",
         "rkt run --volume=data,kind=host,source=/srv/data app.aci --mount=volume=data,target=/data"),
        ("In a unit file", "ExecStart=rkt run --uuid-file-save=/run/app.uuid --net=host app.aci"),
    ),
    "prepare": (
        ("Prepare now, start later", "POD=$(rkt prepare --quiet app.aci) && rkt run-prepared $POD"),
    ),
    "run-prepared": (("Start a pod by its name", "rkt run-prepared web"),),
    "enter": (
        ("A program in the only app of a pod", "rkt enter web ls -l /"),
        ("In one of several apps", "rkt enter --app=db web /bin/sh"),
    ),
    "stop": (
        ("Stop a pod", "rkt stop web"),
        ("Kill it", "rkt stop --force web"),
        ("By a file that `rkt run --uuid-file-save` wrote", "rkt stop --uuid-file=/run/app.uuid"),
    ),
    "rm": (("Remove a pod that ended", "rkt rm web"),),
    "gc": (
        ("Remove all that ended", "rkt gc --grace-period=0"),
        ("Only note when pods ended", "rkt gc --mark-only"),
    ),
    "list": (
        ("For people", "rkt list"),
        ("For programs", "rkt list --format=json"),
    ),
    "status": (
        ("Wait until a pod ended, and exit as it did", "rkt status --wait --exit-status web"),
        ("Wait at most ten seconds until it is ready", "rkt status --wait-ready=10s web"),
    ),
    "cat-manifest": (("The images of a pod", "rkt cat-manifest web | jq -r '.apps[].image.id'"),),
    "export": (("Keep what an app changed", "rkt export web changed.aci"),),
    "fetch": (("Import a file", "rkt fetch --insecure-options=image app.aci"),),
    "image list": (("Names and whole IDs", "rkt image list --no-legend --full --fields=id,name"),),
    "image export": (("Write an image to a file", "rkt image export example.com/app:1.2 app.aci"),),
    "image gc": (("Remove all that no pod uses", "rkt image gc --grace-period=0"),),
    "config": (("On one line", "rkt config --pretty-print=false"),),
    "help": (("Help for a command of a group", "rkt help image list"),),
}
