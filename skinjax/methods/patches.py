"""Paper 003: several patches of each image through one network, joined by attention, a GRU or an average.

All patches of a batch share one call of the backbone. Attention scales them by what all patches of their image hold,
at any place that has a map: the pixels (the paper's initial attention), the last map (its end attention: scaling a map
scales what is pooled of it), or any stage between.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import BELOW_ONE, choice, number, section, to_plain
from skinjax.images.views import example_keys
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Parts, PhaseOfMethod, Terms, Variables
from skinjax.methods.classifier import Classifier, Draws, gather, module_key, own
from skinjax.models.heads.patches import GRU, GRUSettings, PatchAttention

PIXELS = "pixels"
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
    attention: tuple[
        str, ...
    ] = ()  # where patches are scaled: "pixels" (initial), "features" (end), or a stage between
    join: str = choice("logits", "method.join", JOINS)  # how patches become one answer
    # the probability that a patch of a training image is all zero, for any number of them
    patch_dropout: float = number(0.0, 0, BELOW_ONE)
    gru: GRUSettings = section(GRUSettings)


@dataclasses.dataclass(frozen=True)
class Patches(Classifier):
    """A classifier whose views may show several patches of an image: [batch, patches, height, width, 3].

    `attention` names the places where patches are scaled: "pixels" and stages of the backbone. With `patch_dropout` a
    patch of a training image is all zero with that probability, and so goes through everything.
    """

    attention: tuple[str, ...] = ()
    join: str = "logits"
    gru: Module = None
    patch_dropout: float = 0.0

    def __post_init__(self) -> None:
        places = dict.fromkeys((PIXELS, *self.backbone.stages))
        for place in self.attention:
            lookup("place of attention", place, places)
        if len(set(self.attention)) < len(self.attention):
            raise UserError(f"method.attention is {self.attention}; a place is named twice")

    def stages(self) -> tuple[str, ...]:
        """The backbone's stages, the head, then what joins the patches."""
        recurrent = ("gru",) if self.join == "gru" else ()
        return (*super().stages(), *map(attention_at, self.attention), *recurrent)

    def init(self, rng: Array, batch: Batch) -> Variables:
        """As the classifier's; the attention's parameters depend on the number of patches alone."""
        shown = in_patches(self.evaluation_view(batch["image"]))
        patches, images = shown.shape[1], flat(shown)
        modules = {"backbone": self.backbone.init(module_key(rng, "backbone"), images, train=False)}
        features = self.backbone.apply(modules["backbone"], images, train=False)["features"]
        if self.join == "gru":
            modules["gru"] = self.gru.init(module_key(rng, "gru"), pooled(features, patches))
            features = self.recall(gather(modules), features, patches)
        modules["head"] = self.head.init(module_key(rng, "head"), features, train=False)
        for name in map(attention_at, self.attention):
            modules[name] = PatchAttention().init(module_key(rng, name), jnp.zeros((1, patches, 1)))
        return gather(modules)

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: PhaseOfMethod
    ) -> tuple[Terms, dict]:
        """The terms of the training loss of a batch, and the updated batch statistics."""
        del step
        shown, targets, weights = self.training_inputs(batch, rng)
        shown = in_patches(shown)
        shown = dropped(example_keys(module_key(rng, "patches"), batch["position"]), shown, self.patch_dropout)
        patches = shown.shape[1]
        draws = Draws(module_key(rng, "dropout"), batch["position"])
        of_patches = Draws(draws.key, (batch["position"][:, None] * patches + jnp.arange(patches)).ravel())
        images, at, _ = self.attend(variables, shown)
        maps, variables = self.encode(variables, images, of_patches, phase, at)
        features = maps["features"]
        if self.join == "gru":
            features, patches, of_patches = self.recall(variables, features, patches), 1, draws
        each, variables = self.decide(variables, features, of_patches, phase)
        logits = joined(each.reshape(-1, patches, each.shape[-1]), self.join)
        terms: Terms = {"classification": (1.0, *self.classify(variables, logits, targets, weights, phase))}
        return terms, variables["batch_stats"]

    def predict(
        self, variables: Variables, images: Array, at: Mapping[str, Callable] | None = None
    ) -> dict[str, Array]:
        """As the classifier's, and the attention's weights [batch, patches] by place."""
        logits, each, weights = self.answer(variables, images, at)
        outputs = self.outputs(variables, logits)
        if self.join == "votes":
            votes = jax.nn.one_hot(self.adjusted(variables, each).argmax(axis=-1), each.shape[-1]).sum(axis=1)
            outputs["probabilities"] = (votes + outputs["probabilities"]) / (each.shape[1] + 1)
        return outputs | {attention_at(place): value for place, value in weights.items()}

    def logits(self, variables: Variables, images: Array, at: Mapping[str, Callable] | None = None) -> Array:
        """Evaluation-mode logits [batch, classes] of stored uint8 images, joined over their patches."""
        return self.answer(variables, images, at)[0]

    def answer(
        self, variables: Variables, images: Array, at: Mapping[str, Callable] | None
    ) -> tuple[Array, Array, dict[str, Array]]:
        """(logits [batch, classes], those of each patch [batch, patches, classes], attention's weights by place)."""
        shown = in_patches(self.evaluation_view(images))
        patches = shown.shape[1]
        images, own_at, weights = self.attend(variables, shown)
        maps = self.backbone.apply(own(variables, "backbone"), images, train=False, at=both(own_at, at or {}))
        features = maps["features"]
        if self.join == "gru":
            features, patches = self.recall(variables, features, patches), 1
        each = self.head.apply(own(variables, "head"), features, train=False)
        each = each.reshape(-1, patches, each.shape[-1])
        return joined(each, self.join), each, weights

    def attend(
        self, variables: Variables, shown: Array
    ) -> tuple[Array, dict[str, Callable[[Array], Array]], dict[str, Array]]:
        """(patches [batch * patches, ...] after attention on pixels, what the backbone's stages do, weights by place).

        The weights of a stage are there once the backbone has run.
        """
        patches, weights = shown.shape[1], {}

        def at_place(place: str) -> Callable[[Array], Array]:
            def scale(x: Array) -> Array:
                x, weights[place] = PatchAttention().apply(
                    {"params": variables["params"][attention_at(place)]}, x.reshape(-1, patches, *x.shape[1:])
                )
                return flat(x)

            return scale

        images = flat(shown)
        if PIXELS in self.attention:
            images = at_place(PIXELS)(images)
        return images, {place: at_place(place) for place in self.attention if place != PIXELS}, weights

    def recall(self, variables: Variables, features: Array, patches: int) -> Array:
        """What the recurrent network says after the last patch, as maps of one pixel [batch, 1, 1, features]."""
        vectors = pooled(features, patches)
        return as_map(self.gru.apply({"params": variables["params"]["gru"]}, vectors)[:, -1])


def build(parts: Parts, settings: PatchesSettings) -> Patches:
    """The method of these parts; refuses what joins patches where none are shown, and a loss that has no meaning so."""
    views, join = parts.views, settings.join
    by_place = [f"method.attention at {place!r}" for place in settings.attention]
    by_place += ["method.join 'gru'"] * (join == "gru")
    if by_place and not (views.several_in_training and views.several_in_evaluation):
        raise UserError(
            f"{by_place[0]} joins the patches of ordered crops: set views.train and views.evaluation to ordered_crop"
        )
    if settings.patch_dropout and not views.several_in_training:
        raise UserError("method.patch_dropout needs several patches: set views.train to ordered_crop, or it to 0")
    if parts.loss_function.name == "bce_with_logits" and join in ("probabilities", "votes"):
        raise UserError(
            f"method.join {join!r} averages the patches' probabilities, of which loss.name 'bce_with_logits' has none: "
            "set method.join to logits, or choose another loss"
        )
    return Patches(
        **parts.of_every_method(settings),
        attention=settings.attention,
        join=join,
        gru=GRU(**to_plain(settings.gru)),
        patch_dropout=settings.patch_dropout,
    )


def attention_at(place: str) -> str:
    """The name of the attention there among modules, parameters and outputs."""
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


def as_map(vectors: Array) -> Array:
    """[batch, channels] as maps of one pixel, which a head pools to what they were."""
    return vectors[:, None, None]


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


def both(first: Mapping[str, Callable], then: Mapping[str, Callable]) -> dict[str, Callable]:
    """What is done to a stage's map by two sets of functions, one after the other."""
    done = dict(first)
    for name, function in then.items():
        before = first.get(name)
        done[name] = function if before is None else lambda x, before=before, after=function: after(before(x))
    return done
