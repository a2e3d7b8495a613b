"""The verbs of `skinjax VERB`: modules with `add_arguments(parser)` and `run(options) -> exit status`, no more."""
