"""Images and labels: data sets, their splits, samplers and batches. Knows no model, and jax in pipeline and caches alone."""
