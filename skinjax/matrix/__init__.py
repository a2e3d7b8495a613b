"""Many runs: the papers' tables; what they print, as data. It knows runs by their folders alone."""
