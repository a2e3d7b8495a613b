"""Which records make up batch t: pure functions of (seed, step).

A new sampler is a function of `Images`, settings of its own if it has any, and a line here.
"""

from skinjax.core.settings import Kind, Named
from skinjax.data.sampling import samplers

SAMPLERS: dict[str, Kind] = {
    "natural": Kind(Named, lambda images, settings: samplers.natural(images)),
    "oversampled": Kind(Named, lambda images, settings: samplers.oversampled(images)),
    "downsampled": Kind(Named, lambda images, settings: samplers.downsampled(images)),
    "balanced_batches": Kind(Named, lambda images, settings: samplers.balanced_batches(images)),
    "weighted": Kind(samplers.WeightedSettings, samplers.weighted),
    "statically_balanced": Kind(Named, lambda images, settings: samplers.statically_balanced(images)),
}
