"""Images and labels: data sets, their splits, samplers and batches. Knows no model; pipeline and caches alone know jax."""
