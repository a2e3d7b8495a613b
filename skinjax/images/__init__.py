"""What happens to pictures on the device, vectorised over the batch and keyed. Knows no files, labels or models."""
