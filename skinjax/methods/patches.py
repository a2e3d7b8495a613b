"""Paper 003: several patches of each image through one network, joined by attention, a GRU or an average.

All patches of a batch share one call of the backbone. Attention scales them by what all patches of their image hold,
at any place that has a map: the pixels (the paper's initial attention), the last map (its end attention: scaling a map
scales what is pooled of it), or any stage between.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import BELOW_ONE, choice, number, section, to_plain
from skinjax.images.views import example_keys
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Objective, Taps, Terms, Variables
from skinjax.methods.names import TOP, taps_of
from skinjax.methods.parts import Draws, Parts, by_collection, module_key
from skinjax.models.backbone import PIXELS
from skinjax.models.heads.patches import GRU, GRUSettings, PatchAttention

JOINS = {
    "logits": "the mean of the patches' logits",
    "probabilities": "the mean of the patches' probabilities",
    "votes": "one vote a patch for its likeliest class, and one shared as the mean of probabilities, which breaks ties",
    "gru": "a recurrent network over the patches, whose last output the head reads",
}


@dataclasses.dataclass(frozen=True)
class PatchesSettings(MethodSettings):
    """Paper 003's method; with nothing changed, the mean of the patches' logits."""

    name: str = "patches"
    # where patches are scaled: "pixels" (initial), "features" (end), or a stage between
    attention: tuple[str, ...] = ()
    join: str = choice("logits", "method.join", JOINS)  # how patches become one answer
    # the probability that a patch of a training image is all zero, for any number of them
    patch_dropout: float = number(0.0, 0, BELOW_ONE)
    gru: GRUSettings = section(GRUSettings)


@dataclasses.dataclass(frozen=True)
class Patches:
    """A classifier whose views may show several patches of an image: [batch, patches, height, width, 3].

    `gru` is there where it joins them. With `patch_dropout` a patch of a training image is all zero with that
    probability, and so goes through everything.
    """

    parts: Parts
    settings: PatchesSettings = PatchesSettings()
    gru: Module = None

    def __post_init__(self) -> None:
        attention, places = self.settings.attention, dict.fromkeys((PIXELS, *self.parts.network.backbone.stages))
        for place in attention:
            lookup("place of attention", place, places)
        if len(set(attention)) < len(attention):
            raise UserError(f"method.attention is {attention}; a place is named twice")

    def init(self, rng: Array, batch: Batch) -> Variables:
        """As the classifier's; the attention's parameters depend on the number of patches alone."""
        shown, network = in_patches(self.parts.pictures.evaluation_view(batch["image"])), self.parts.network
        patches = shown.shape[1]
        modules, features = network.init_trunk(rng, flat(shown))
        if self.gru:
            modules["gru"] = self.gru.init(module_key(rng, "gru"), pooled(features, patches))
            features = self.read_in_order(by_collection(modules), features, patches)
        modules |= network.init_head(rng, features)
        for name in map(attention_at, self.settings.attention):
            modules[name] = PatchAttention().init(module_key(rng, name), jnp.zeros((1, patches, 1)))
        return by_collection(modules)

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        return self.parts.task.constants(counts)

    def terms(self) -> dict[str, float]:
        return {"classification": 1.0}

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        network, task = self.parts.network, self.parts.task
        shown, targets, weights = self.parts.pictures.for_training(batch, rng, len(task.classes), phase)
        keys = example_keys(module_key(rng, "patches"), batch["position"])
        shown = dropped(keys, in_patches(shown), self.settings.patch_dropout)
        draws, patches = Draws.for_batch(rng, batch), shown.shape[1]
        at, _ = self.attention(variables, patches)
        maps, variables = network.train_maps(variables, flat(shown), draws.for_slots(patches), phase, at)
        features = maps["features"]
        if self.gru:
            features, patches = self.read_in_order(variables, features, patches), 1
        each, _, variables = network.train_answer(variables, features, draws.for_slots(patches), phase)
        logits = joined(each.reshape(-1, patches, each.shape[-1]), self.settings.join)
        coefficient = phase.coefficient("classification", 1.0)
        terms: Terms = {"classification": (coefficient, *task.term(variables, logits, targets, weights, phase))}
        return terms, variables["batch_stats"]

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """As the classifier's, and the attention's weights [batch, patches] by place.

        `pooled` is the mean over the patches, and `probabilities` of votes are not the softmax of `logits`.
        """
        each, read, weights = self.answer(variables, images, at)
        task, join = self.parts.task, self.settings.join
        outputs = task.outputs(variables, joined(each, join), None if read is None else read.mean(axis=1))
        if join == "votes":
            votes = jax.nn.one_hot(task.adjusted(variables, each).argmax(axis=-1), each.shape[-1]).sum(axis=1)
            outputs["probabilities"] = (votes + outputs["probabilities"]) / (each.shape[1] + 1)
        return outputs | {attention_at(place): value for place, value in weights.items()}

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        each, _, _ = self.answer(variables, batch["image"], None)
        logits = joined(each, self.settings.join)
        return {"loss": self.parts.task.held_out_term(variables, logits, batch, phase)}

    def stages(self) -> dict[str, str]:
        """The network's, then what joins the patches."""
        joins = [*map(attention_at, self.settings.attention), *(["gru"] if self.gru else [])]
        return self.parts.network.stages() | dict.fromkeys(joins, TOP)

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return self.parts.network.trunks()

    def answer(
        self, variables: Variables, images: Array, at: Taps | None
    ) -> tuple[Array, Array | None, dict[str, Array]]:
        """(logits of each patch [batch, patches, classes], what they were computed from, attention's weights).

        With the recurrent network there is one answer for all patches.
        """
        shown, network = in_patches(self.parts.pictures.evaluation_view(images)), self.parts.network
        patches = shown.shape[1]
        taps, weights = self.attention(variables, patches)
        features = network.maps(variables, flat(shown), chained_taps(taps, taps_of(network.trunk, at)))["features"]
        if self.gru:
            features, patches = self.read_in_order(variables, features, patches), 1
        each, read = network.answer(variables, features)
        read = None if read is None else read.reshape(-1, patches, read.shape[-1])
        return each.reshape(-1, patches, each.shape[-1]), read, weights

    def attention(self, variables: Variables, patches: int) -> tuple[dict[str, Callable], dict[str, Array]]:
        """The taps that apply attention, and its weights by place, which are filled in as the backbone runs."""
        weights: dict[str, Array] = {}

        def at_place(place: str) -> Callable[[Array], Array]:
            def scale(x: Array) -> Array:
                params = {"params": variables["params"][attention_at(place)]}
                attention: Module = PatchAttention()
                scaled, weights[place] = attention.apply(params, x.reshape(-1, patches, *x.shape[1:]))
                return flat(scaled)

            return scale

        return {place: at_place(place) for place in self.settings.attention}, weights

    def read_in_order(self, variables: Variables, features: Array, patches: int) -> Array:
        """The output of the recurrent network after the last patch, as maps of one pixel [batch, 1, 1, features]."""
        vectors = pooled(features, patches)
        return self.gru.apply({"params": variables["params"]["gru"]}, vectors)[:, -1, None, None]


def build(parts: Parts, settings: PatchesSettings) -> Patches:
    """The method of these parts; refuses settings that need several patches, or probabilities, where there are none."""
    views, join = parts.views, settings.join
    by_place = [f"method.attention at {place!r}" for place in settings.attention]
    by_place += ["method.join 'gru'"] * (join == "gru")
    if by_place and not (views.several_in_training and views.several_in_evaluation):
        raise UserError(
            f"{by_place[0]} joins the patches of ordered crops: set views.train and views.evaluation to ordered_crop"
        )
    if settings.patch_dropout and not views.several_in_training:
        raise UserError("method.patch_dropout needs several patches: set views.train to ordered_crop, or it to 0")
    if parts.task.loss_function.name == "bce_with_logits" and join in ("probabilities", "votes"):
        raise UserError(
            f"method.join {join!r} averages the patches' probabilities, of which loss.name 'bce_with_logits' has none: "
            "set method.join to logits, or choose another loss"
        )
    return Patches(parts, settings, GRU(**to_plain(settings.gru)) if join == "gru" else None)


def attention_at(place: str) -> str:
    """The name of the attention at `place` among modules, parameters and outputs."""
    return f"attention_{place}"


def in_patches(images: Array) -> Array:
    """[batch, patches, height, width, channels]; a view of one picture is one patch."""
    return images if images.ndim == 5 else images[:, None]


def flat(patches: Array) -> Array:
    """[batch, patches, ...] to [batch * patches, ...]."""
    return patches.reshape(-1, *patches.shape[2:])


def pooled(features: Array, patches: int) -> Array:
    """Maps [batch * patches, height, width, channels] to their means [batch, patches, channels], in float32."""
    means = features.mean(axis=(1, 2), dtype=jnp.promote_types(features.dtype, jnp.float32))
    return means.reshape(-1, patches, means.shape[-1])


def joined(logits: Array, join: str) -> Array:
    """[batch, patches, classes] to logits [batch, classes], of which the mean probabilities are the softmax."""
    if join in ("logits", "gru"):
        return logits.mean(axis=1)
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=1) - jnp.log(logits.shape[1])


def dropped(keys: Array, patches: Array, rate: float) -> Array:
    """Patches [batch, patches, ...] of which each is all zero with probability `rate`, drawn by its image's key."""
    if not rate:
        return patches
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, (patches.shape[1],)))(keys)
    return jnp.where(kept.reshape(*kept.shape, *(1,) * (patches.ndim - 2)), patches, 0)


def chained_taps(first: Taps, then: Taps) -> dict[str, Callable]:
    """Two sets of taps applied one after the other."""

    def in_turn(before: Callable, after: Callable) -> Callable:
        return lambda x: after(before(x))

    return {**first, **{name: in_turn(first[name], tap) if name in first else tap for name, tap in then.items()}}
