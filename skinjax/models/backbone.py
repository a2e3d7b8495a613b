"""The base class of all backbones: named stages in order, each of which gives a feature map."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import flax.linen as nn
from jax import Array

from skinjax.core.errors import UserError, lookup
from skinjax.models.heads.classifiers import LinearHead

PIXELS = "pixels"  # the place before the first stage
Rows = tuple[tuple[str, str], ...]  # (pattern, replacement) of `re.sub`, applied in order


class Backbone(nn.Module, kw_only=True):
    """Images [batch, height, width, 3] to the named maps of its stages; `features` is the last one, before pooling.

    A family gives `stages`, `layers` and, where the network has more than a linear layer on top, `original_head`.
    `late` is the stage from which on maps have a sixteenth of the images' side or less: there fastai cuts ResNets,
    DenseNets and VGGs into early and late layers.
    `remat` names the stages whose inner maps are computed again in the backward pass instead of being kept; what is
    compiled with it takes `compiler_options(remat)` (layers.py).

    `timm_names` rewrites paths `stage/module/...` or `head/...`, without their leaf, to timm's, but for its dots;
    `unused_tensors` are the prefixes of tensors that published files hold beside those of the network.
    """

    dtype: Any = None
    remat: tuple[str, ...] = ()
    stages: ClassVar[tuple[str, ...]]
    late: ClassVar[str]
    timm_names: ClassVar[Rows] = (("^head/", ""),)
    unused_tensors: ClassVar[tuple[str, ...]] = ()

    def layers(self) -> Sequence[nn.Module]:
        """One module for each of `stages`, in order and of that name, called as `module(x, train)`."""
        raise NotImplementedError

    @nn.nowrap
    def original_head(self, classes: int) -> nn.Module:
        """What the network's authors put on top of `features`.

        Its last layer is initialised as PyTorch's linear layers, whatever they did, because the classes are others.
        """
        return LinearHead(classes)

    @nn.compact
    def __call__(
        self,
        x: Array,
        *,
        train: bool,
        at: Mapping[str, Callable[[Array], Array]] | None = None,
        frozen: tuple[str, ...] = (),
    ) -> dict[str, Array]:
        """`at[name]` is applied to that map before the next stage reads it, at["pixels"] to the images.

        A frozen stage runs in evaluation mode.
        """
        at, images, maps = at or {}, x.shape, {}
        for name in at:
            lookup(f"stage of {type(self).__name__}", name, dict.fromkeys((PIXELS, *self.stages)))
        if PIXELS in at:
            x = at[PIXELS](x)
        for name, layer in zip(self.stages, self.layers(), strict=True):
            x = _run(layer, x, train and name not in frozen, recompute=name in self.remat)
            if 0 in x.shape[1:3]:  # its mean would be NaN
                raise UserError(
                    f"images of {images[1]}x{images[2]} are too small for {type(self).__name__}, which has nothing "
                    f"left of them in {name}: raise views.size"
                )
            maps[name] = x = at[name](x) if name in at else x
        return maps


def _run(layer: nn.Module, x: Array, train: bool, recompute: bool) -> Array:
    return nn.remat(lambda module, x: module(x, train))(layer, x) if recompute else layer(x, train)
