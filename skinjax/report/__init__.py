"""Figures and reports for people, from arrays, tables and the folders of runs. Needs no jax."""
