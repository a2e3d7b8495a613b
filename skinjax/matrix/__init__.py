"""Many runs as one job: which runs there are, doing those that are not done, and the table of what they came to."""
