"""Judging tables of predictions, whoever made them: needs neither jax nor any other room than the core."""
