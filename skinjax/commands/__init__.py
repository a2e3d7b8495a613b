"""The verbs of `skinjax VERB`: each module has `add_arguments(parser)` and `run(options) -> exit status`."""
