"""Do a run: what becomes of it, as a state and a reason and not as an error."""

import time
from pathlib import Path

from skinjax.core.errors import Print, UserError, first_line
from skinjax.core.locks import Busy
from skinjax.recipe.recipe import Recipe
from skinjax.runs.experiment import run
from skinjax.training.signals import Interrupted

TRIES = 2


def attempt(
    recipe: Recipe, folder: Path, data_dir: str | None, say: Print = print, patience: float = 0.0
) -> tuple[str, str]:
    """`done`, `busy` or `failed`, and why.

    A run that fails is tried once more, unless it is for what a user can mend; one that another process is at is waited
    for, `patience` seconds at most.
    """
    since, reason, tries = time.monotonic(), "", 0
    while tries < TRIES:
        try:
            run(recipe, str(folder), data_dir, say)
            return "done", ""
        except Busy as error:
            if time.monotonic() - since > patience:
                return "busy", str(error)
            time.sleep(1)
        except Interrupted:
            raise
        except Exception as error:  # whatever it is, the other runs go on
            reason, tries = first_line(error), TRIES if isinstance(error, UserError) else tries + 1
            say(f"failed: {reason}" + ("; once more" if tries < TRIES else ""))
    return "failed", reason
