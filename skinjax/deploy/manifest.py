"""What `bundle.json` says, every field of it checked: networks, decisions, figures, origins, examples, digests."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from skinjax.core.errors import UserError
from skinjax.core.settings import Settings, number, section
from skinjax.deploy.decisions import Decisions
from skinjax.deploy.origins import Origin, notices
from skinjax.recipe.recipe import ModelSpec

SCHEMA = 1
MOST_MEMBERS, MOST_NAME, MOST_CLASSES, MOST_MANIFEST, MOST_BATCH = 32, 100, 10_000, 2**20, 2**26
MOST_TEXT = 2000


@dataclasses.dataclass(frozen=True)
class Network(Settings):
    """A network of a bundle: how it is built, and what its starting weights state."""

    spec: ModelSpec = section(ModelSpec)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Figure(Settings):
    """A figure of the test part, with its 95 % interval where it has one."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Manifest(Settings):
    """What `bundle.json` says.

    files: the digest of every other file; unlike: the distance from which a photograph is unlike those of training,
    None where it is not known; figures: by metric; judged: on what, in words, and protocol, in fields; examples: the
    answer to each
    """

    schema: int = SCHEMA
    skinjax: str = ""
    classes: tuple[str, ...] = ()
    networks: Mapping[str, Network] = dataclasses.field(default_factory=dict)
    decisions: Decisions | None = None
    unlike: float | None = number(None, 0, 2)
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)
    figures: Mapping[str, Figure] = dataclasses.field(default_factory=dict)
    judged: str = ""
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    examples: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        n, decisions = len(self.classes), self.decisions
        if not (2 <= n <= MOST_CLASSES and len(set(self.classes)) == n):
            raise UserError("it must name two classes or more, each once")
        for name in self.classes:
            if not (name and name.isprintable() and len(name) <= MOST_NAME):
                raise UserError(f"the class {name[:MOST_NAME]!r} is no name")
        texts = [text for of in self.origins.values() for text in (of.name, of.licence, of.citation)]
        if not all(text.isprintable() and len(text) <= MOST_TEXT for text in (self.judged, *self.figures, *texts)):
            raise UserError("its texts must be printable")
        if not 1 <= len(self.networks) <= MOST_MEMBERS or list(self.networks) != numbers(len(self.networks)):
            raise UserError("its networks must be called 0, 1 and so on")
        stored = {network.spec.stored_size for network in self.networks.values()}
        if len(stored) > 1:
            raise UserError("its networks must see photographs of one stored size")
        for of in self.networks.values():
            if of.spec.batch * pixels_of(of.spec) > MOST_BATCH:
                raise UserError(f"its batches must not have more than {MOST_BATCH:,} pixels")
        if decisions and any(len(of) not in (0, n) for of in (decisions.usual, decisions.farthest, decisions.lesions)):
            raise UserError("its decisions must be of all classes")
        if decisions and decisions.question:
            named = set(decisions.question.positive)
            if not named < set(self.classes) or not named or len(named) < len(decisions.question.positive):
                raise UserError("its question must be of some of the classes, each once")
        stages = decisions.prior if decisions else ()
        if stages and {name for of in stages for name in of} - {"rest"} != set(self.classes) - {"rest"}:
            raise UserError("its training prior must be of all classes")
        if any(share <= 0 for of in stages for share in of.values()):
            raise UserError("its training prior must be above 0")
        for answer in self.examples.values():
            if not (isinstance(answer, list | tuple) and len(answer) == n and all(map(_is_share, answer))):
                raise UserError("its examples must have a probability of each class")

    @property
    def notices(self) -> list[str]:
        """What whoever opens the bundle is told: what it is not for, and licences that bind its use."""
        return notices(self.protocol, self.origins)


def pixels_of(spec: ModelSpec) -> int:
    """Pixels of a photograph as it is stored, or as all that is shown of it, whichever are more."""
    stored, views = spec.stored_size, spec.views
    return max(stored.height * stored.width, math.prod(views.size) * (views.shown_crops() or 1))


def numbers(count: int) -> list[str]:
    """The names of the networks of a bundle."""
    return [str(place) for place in range(count)]


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
