"""The embedded set: dermoscopy-like photographs drawn by a program, from a seed. No medicine."""
