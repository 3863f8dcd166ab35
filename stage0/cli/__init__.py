"""The rkt command: one module a subcommand."""
