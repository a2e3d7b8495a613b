"""A run's folder: claimed, trained, opened again, judged. What joins data, a method and the trainer."""
