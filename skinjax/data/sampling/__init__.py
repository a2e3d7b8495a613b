"""Which records make up batch t: pure functions of (seed, step).

A new sampler is a function of `Images`, settings of its own if it has any, and a line here.
"""

from skinjax.core.settings import Kind
from skinjax.data.sampling import samplers
from skinjax.data.sampling.samplers import SamplerSettings

SAMPLERS: dict[str, Kind] = {
    "natural": Kind(SamplerSettings, lambda images, own: samplers.natural(images)),
    "oversampled": Kind(SamplerSettings, lambda images, own: samplers.oversampled(images)),
    "downsampled": Kind(SamplerSettings, lambda images, own: samplers.downsampled(images)),
    "balanced_batches": Kind(SamplerSettings, lambda images, own: samplers.balanced_batches(images)),
    "weighted": Kind(samplers.WeightedSettings, samplers.weighted),
    "statically_balanced": Kind(SamplerSettings, lambda images, own: samplers.statically_balanced(images)),
}
