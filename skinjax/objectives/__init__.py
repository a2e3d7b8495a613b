"""What training minimises, as pure functions of logits and labels."""
