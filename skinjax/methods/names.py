"""The names by which freezing, learning rates and taps address parameters and maps of a method.

A method has modules (`head`) and trunks with stages (`backbone/stem`). A stage's name alone means that stage of every
trunk, and of no other module; a trunk's name all its stages.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Callable)


def addressed(name: str, stages: Sequence[str]) -> tuple[str, ...]:
    """Those of a method's `stages` that `name` stands for; none for an unknown name.

    >>> addressed("stem", ["backbone/stem", "backbone/features", "head"])
    ('backbone/stem',)
    >>> addressed("backbone", ["backbone/stem", "backbone/features", "head"])
    ('backbone/stem', 'backbone/features')
    """
    return tuple(stage for stage in stages if name in (stage, *stage.split("/")))


def accepted_names(stages: Sequence[str]) -> tuple[str, ...]:
    """The names that a user may write: stages alone, modules, trunks, and whole names if there are several trunks."""
    trunks = dict.fromkeys(stage.partition("/")[0] for stage in stages if "/" in stage)
    alone = dict.fromkeys(stage.rpartition("/")[2] for stage in stages)
    return (*alone, *trunks, *(stage for stage in stages if len(trunks) > 1 and "/" in stage))


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
