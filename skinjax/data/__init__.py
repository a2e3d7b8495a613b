"""Images and labels: data sets, splits, samplers, batches. Knows no model; pipeline and caches alone know jax."""
