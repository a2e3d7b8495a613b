"""Make one file of a finished run, or of several: network, preprocessing, decisions, figures, licences, examples.

    skinjax bundle runs/cdc-demo-0123abcd --out=model.skinjax
    skinjax bundle RUN RUN RUN --out=ensemble.skinjax --positive=mel,bcc,akiec
    skinjax bundle check model.skinjax

Several runs answer together, by the mean of their probabilities. --positive asks a clinical question (is it one of
these?), whose threshold is fixed at a sensitivity of 0.9 on validation. `check` verifies every hash, opens the file,
and answers the example photographs in it again. docs/bundle.md says what is inside.
"""

import argparse
from pathlib import Path

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError
from skinjax.core.tables import check_folder

ENDING = ".skinjax"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("runs", metavar="RUN|check", nargs="+", help="folders of finished runs, or check and a bundle")
    parser.add_argument("--out", metavar="FILE", help="the file to write, such as model.skinjax")
    parser.add_argument("--positive", metavar="A,B", help="classes of a clinical question: is it one of these?")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    from skinjax.core.compilation_cache import use_compilation_cache
    from skinjax.data.dataset import data_root

    root = data_root(options.data_dir)
    if options.runs[0] == "check":
        if len(options.runs) != 2 or options.out or options.positive:
            raise UserError("check takes one bundle and no flags: skinjax bundle check model.skinjax")
        use_compilation_cache(root / "compilation_cache")
        return check(Path(options.runs[1]))
    from skinjax.deploy.making import make_bundle

    if not options.out:
        raise UserError(f"--out says which file to write: give one, such as model{ENDING}")
    out = Path(options.out).expanduser()
    check_folder(out, "--out")
    if out.suffix != ENDING:
        raise UserError(f"{out} does not end in {ENDING}: give another --out")
    if out.exists() and not out.is_file():
        raise UserError(f"{out} is there and is no file: give another --out")
    positive = [name.strip() for name in options.positive.split(",")] if options.positive else []
    use_compilation_cache(root / "compilation_cache")
    make_bundle([Path(name).expanduser() for name in options.runs], out, root, positive)
    print(f"wrote {out}")
    return check(out)


def check(path: Path) -> int:
    """Open a bundle, answer its examples again, and say what is in it."""
    from skinjax.core.files import human_bytes
    from skinjax.core.settings import to_plain
    from skinjax.deploy.bundle import TOLERANCE, open_bundle
    from skinjax.evaluation.text import interval

    bundle = open_bundle(path)
    manifest, differences = bundle.manifest, bundle.example_differences()
    for notice in manifest.notices:
        print(notice)
    networks = [f"{of.spec.method.name} on {of.spec.model.backbone}" for of in manifest.networks.values()]
    size = human_bytes(path.stat().st_size)
    print(f"{len(networks)} network{'s' * (len(networks) > 1)} ({', '.join(dict.fromkeys(networks))}), {size}")
    print(f"classes: {', '.join(manifest.classes)}")
    if manifest.decisions and manifest.decisions.question:
        print(f"question: is it {' or '.join(manifest.decisions.question.positive)}?")
    for metric, figure in manifest.figures.items():
        print(f"{metric.replace('_', ' ')}: {interval(to_plain(figure))}")
    if manifest.judged:
        print(f"judged on {manifest.judged}")
    for of in manifest.origins.values():
        print(f"{of.name}: {of.licence}" + (f"; cite: {of.citation}" if of.citation else ""))
    worst = max(differences.values(), default=0.0)
    print(f"{len(manifest.files)} files are as {path.name} says; {len(differences)} examples differ by {worst:.1g}")
    if worst > TOLERANCE:
        raise UserError(
            f"{path} answers its examples otherwise than where it was made, by up to {worst:.2g}: another version of "
            "jax or another kind of machine computes it differently; make the bundle here, or use it there"
        )
    return 0
