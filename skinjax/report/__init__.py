"""Figures for people, from arrays and tables. Needs no jax."""
