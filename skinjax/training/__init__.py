"""The one training loop, and what it is made of: phases, schedules, optimisers, checkpoints, logs. Knows no config."""
