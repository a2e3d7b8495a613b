"""Which records make up batch t: pure functions of (seed, step)."""
