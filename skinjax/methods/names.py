"""The names by which freezing, learning rates and taps address parameters and maps of a method.

A method has modules (`head`) and trunks with stages (`backbone/stem`). A stage's name alone means that stage of every
trunk, and of no other module; a trunk's name all its stages. Each belongs to one group of depth: `early` and `late`
are the stages of every trunk, before and after its cut, and `top` is every module that is no trunk.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Callable)
EARLY, LATE, TOP = "early", "late", "top"
Stages = Mapping[str, str]  # of a method: the name of each stage and module, and its group


def in_groups(trunk: str, stages: Sequence[str], late: str) -> dict[str, str]:
    """The stages of a trunk by their qualified names, early before the stage `late` and late from it on.

    >>> in_groups("backbone", ["stem", "stage1", "features"], late="features")
    {'backbone/stem': 'early', 'backbone/stage1': 'early', 'backbone/features': 'late'}
    """
    cut = stages.index(late)
    return {f"{trunk}/{stage}": EARLY if place < cut else LATE for place, stage in enumerate(stages)}


def addressed(name: str, stages: Stages) -> tuple[str, ...]:
    """Those of a method's `stages` that `name` stands for; none for an unknown name.

    >>> stages = {"backbone/stem": EARLY, "backbone/features": LATE, "head": TOP, "decoder": TOP}
    >>> addressed("stem", stages)
    ('backbone/stem',)
    >>> addressed("backbone", stages)
    ('backbone/stem', 'backbone/features')
    >>> addressed("top", stages)
    ('head', 'decoder')
    """
    return tuple(stage for stage, group in stages.items() if name in (group, stage, *stage.split("/")))


def accepted_names(stages: Stages) -> tuple[str, ...]:
    """The names that a user may write: stages alone, modules, trunks, groups, and whole names of several trunks."""
    trunks = dict.fromkeys(stage.partition("/")[0] for stage in stages if "/" in stage)
    alone = dict.fromkeys(stage.rpartition("/")[2] for stage in stages)
    groups = dict.fromkeys(stages.values())
    return (*alone, *trunks, *groups, *(stage for stage in stages if len(trunks) > 1 and "/" in stage))


def is_below(path: str, names: Sequence[str]) -> bool:
    """Whether a parameter's path lies in one of the stages or modules `names`."""
    return any(path.startswith(f"{name}/") for name in names)


def in_trunk(trunk: str, names: Sequence[str]) -> tuple[str, ...]:
    """The stages of a trunk among qualified `names`, without the trunk's own name."""
    return tuple(name.removeprefix(f"{trunk}/") for name in names if name.startswith(f"{trunk}/"))


def taps_of(trunk: str, at: Mapping[str, T] | None) -> dict[str, T]:
    """The taps of a trunk: those under the names of stages alone, and those whose names begin with the trunk's."""
    return {
        name.removeprefix(f"{trunk}/"): tap
        for name, tap in (at or {}).items()
        if "/" not in name or name.startswith(f"{trunk}/")
    }
