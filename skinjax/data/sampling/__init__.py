"""Which records make up batch t: pure functions of (seed, step).

A new sampler is a function of `Images`, settings of its own if it has any, and a line here.
"""

import dataclasses

from skinjax.core.settings import Kind, Named
from skinjax.data.sampling import samplers
from skinjax.data.sampling.samplers import Images, Sampler
from skinjax.data.sampling.tuples import TuplesSettings, tuples

SAMPLERS: dict[str, Kind] = {
    "natural": Kind(Named, lambda images, settings: samplers.natural(images)),
    "oversampled": Kind(Named, lambda images, settings: samplers.oversampled(images)),
    "downsampled": Kind(Named, lambda images, settings: samplers.downsampled(images)),
    "balanced_batches": Kind(Named, lambda images, settings: samplers.balanced_batches(images)),
    "weighted": Kind(samplers.WeightedSettings, samplers.weighted),
    "statically_balanced": Kind(Named, lambda images, settings: samplers.statically_balanced(images)),
    "tuples": Kind(TuplesSettings, tuples),
}
STREAM = 2**31 - 1  # from the seed of a place to that of the next


def make_sampler(images: Images, settings: Named) -> Sampler:
    """The sampler of these settings; for several places, as many independent ones, unless it fills rows itself."""
    make = SAMPLERS[settings.name].make
    if images.places == 1 or settings.name == "tuples":
        return make(images, settings)
    seeds = [images.seed + STREAM * place for place in range(images.places)]
    return samplers.side_by_side([make(dataclasses.replace(images, seed=seed, places=1), settings) for seed in seeds])
