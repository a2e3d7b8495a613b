"""What can be gained after training, on HAM10000: measures and writes docs/after_training.md.

    python tools/after_training.py --weights=FILE --split=FILE --folder=runs/after [--data_dir=DIR] [--doc=FILE]

Needs `skinjax prepare ham10000`, a safetensors file for `mobilenetv2_100_same`, and paper 003's published split, whose
fold 1 has 18 validation lesions of the smallest class. One network of 40,000 images; the same predictions plain, with
prior correction, from eight turns of each photograph, pooled by lesion, and with a temperature. Resumable; 15 minutes
on 2 idle cores. What the document says below its line "## What it says" stays.
"""

from collections.abc import Mapping
from pathlib import Path

from measuring import budget, finish, in_percent, markdown_table, parser_of_seeds, write_document

from skinjax.data.dataset import data_root
from skinjax.evaluation.calibration import calibration_error
from skinjax.evaluation.cases import pooled
from skinjax.evaluation.intervals import bootstrap, paired_difference
from skinjax.evaluation.judgement import Fitted, fitted
from skinjax.evaluation.proportions import macro_recall_interval
from skinjax.evaluation.sources import Source, open_source
from skinjax.runs.again import judge_again

CONFIG = "--config=configs/schedules.py:ham10000_one_phase"
IMAGES = {"duration": 40000.0, "warmup": 4000.0}


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--doc", type=Path, default=Path("docs/after_training.md"))
    options = parser.parse_args()
    run = options.folder / "run-0"
    flags = [f"--config.phases.all.{field}={value}" for field, value in IMAGES.items()]
    split = ["--config.split.protocol=file", f"--config.split.file={options.split}", "--config.split.fold=1"]
    settings = ["--config.sampler=natural", "--config.split.folds=3"]
    finish([CONFIG, f"--config.model.weights={options.weights}", *flags, *split, *settings], run, 0, options.data_dir)
    again = judge_again(run, ["views.repeats=turned"], data_root(options.data_dir))
    text = document(open_source(run), open_source(again), run)
    print(text)
    write_document(options.doc, text)


def document(plain: Source, turned: Source, run: Path) -> str:
    """The figures of the tables, and what each gains over the plain one."""
    found: Mapping[str, Fitted] = {
        "plain": fitted(plain, False, ""),
        "prior correction": fitted(plain, False, "uniform"),
        "temperature, prior correction": fitted(plain, True, "uniform"),
        "eight turns": fitted(turned, False, ""),
        "eight turns, temperature, prior correction": fitted(turned, True, "uniform"),
        "temperature": fitted(plain, True, ""),
        "eight turns, temperature": fitted(turned, True, ""),
    }
    base = found["plain"]
    rows, gains = [], []
    for name, of in found.items():
        recall, accuracy = macro_recall_interval(of.decided), bootstrap(of.decided, "accuracy")
        losses = [bootstrap(of.natural, metric) for metric in ("log_loss", "brier")]
        error = calibration_error(of.natural)
        rows.append([name, in_percent(recall), in_percent(accuracy), *(_plain(x) for x in losses), f"{error:.3f}"])
        if of is not base:
            differences = [paired_difference(base.decided, of.decided, m) for m in ("macro_recall", "accuracy")]
            of_losses = [paired_difference(base.natural, of.natural, m) for m in ("log_loss", "brier")]
            cells = [*(in_percent(x, "+.1f") for x in differences), *(_plain(x, "+.3f") for x in of_losses)]
            gains.append([f"{name} minus plain", *cells])
    columns = ("", "macro recall", "accuracy", "log loss", "Brier", "calibration error")
    said = "; ".join(f"{name}: {_record(of.record)}" for name, of in found.items() if of.record)
    return f"""# After training

Written by `tools/after_training.py` on HAM10000, 200x150 copies, paper 003's published split, fold 1.
{budget({"one network": [run]})}
Fitted on the validation part: {said}.

Test part ({len(base.decided):,} photographs) with 95 % intervals over lesions, recall and accuracy in %:

{markdown_table(columns, rows)}

Paired by lesion:

{markdown_table(columns[:-1], gains)}

Photographs of a lesion judged as one, in %:

{markdown_table(("", "macro recall"), cases(found))}"""


def cases(found: Mapping[str, Fitted]) -> list[list[str]]:
    """Macro recall of lesions, their photographs pooled, and of photographs, for some of the tables."""
    rows = []
    for name in ("plain", "temperature, prior correction", "eight turns, temperature, prior correction"):
        table = found[name].decided
        together = pooled(table)
        rows.append([f"{name}, {len(table):,} photographs", in_percent(macro_recall_interval(table))])
        rows.append([f"{name}, {len(together):,} lesions", in_percent(macro_recall_interval(together))])
    return rows


def _record(record: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value:.2f}" for key, value in record.items() if isinstance(value, float))


def _plain(found, form: str = ".3f") -> str:
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


if __name__ == "__main__":
    main()
