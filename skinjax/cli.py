"""skinjax VERB ...: one verb, one module of skinjax/commands, imported when it is asked for."""

import argparse
import importlib
import sys

from skinjax.core.arguments import Parser, exit_status
from skinjax.core.errors import UserError, lookup

VERBS = {
    "prepare": "bring a data set from what was downloaded, or from a folder of your own, into skinjax's form",
    "datasets": "list the data sets that are known and those that are prepared",
    "scan": "find damaged, mislabelled and duplicate photographs",
    "split": "make a split of a prepared data set, or check one for leaks",
    "correct": "write before and after pictures of photograph corrections",
    "crossval": "train a config on every fold, and tell the figures of each and of all together",
    "reproduce": "train what a paper's tables ask for, beside the printed numbers and what the paper claims",
    "evaluate": "judge predictions: figures with intervals, errors, thresholds, calibration, comparisons",
    "report": "write one HTML file about a run or a table: figures, curves, mistakes, model card, checklist",
    "bundle": "make one file of a finished run that carries all it takes, or check one",
    "export": "write a bundle or a run as StableHLO, ONNX, or weights under timm's names",
    "predict": "predict the classes of photographs by a bundle or a run, as a table",
    "serve": "show a model on a web page of this machine, and answer programs",
    "explain": "draw what a run's answers rest on: Grad-CAM, guided backpropagation, attention",
    "weights": "list and fetch ImageNet weights to start from, or look into a file of them",
    "lr-range": "find a learning rate: train while it rises, and draw the loss",
    "show": "draw a data set's classes and counts, or a config's views and learning rate",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 all is well, 1 a user's mistake or something found."""
    return exit_status(lambda: run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """The status of the verb that `arguments` begin with."""
    parser = Parser(prog="skinjax", usage="skinjax VERB ...", allow_abbrev=False, epilog=_epilog())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("verb", metavar="VERB", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments[:1])
    if options.verb is None:
        raise UserError(f"no verb is given; known: {', '.join(sorted(VERBS))}")
    lookup("verb", options.verb, VERBS)
    command = importlib.import_module(f"skinjax.commands.{options.verb.replace('-', '_')}")
    parser = Parser(prog=f"skinjax {options.verb}", description=command.__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_arguments(parser)
    parse = parser.parse_args if parser.takes_changes else parser.parse_intermixed_args  # flags anywhere among names
    return command.run(parse(arguments[1:]))


def _epilog() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {about}" for verb, about in VERBS.items())
    return f"verbs:\n{verbs}\n\nskinjax VERB --help says what each takes."


if __name__ == "__main__":
    sys.exit(main())
