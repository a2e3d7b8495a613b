"""Published weights: files, the hub, the facts that they state, and the mapping of their tensors to our variables."""
