"""Many runs: the papers' tables; what they print, as data."""
