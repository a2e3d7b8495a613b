"""Weights as others publish them: files, the hub, what they say of themselves, and their mapping to our variables."""
