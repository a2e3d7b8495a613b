"""What training minimises, as pure functions of logits and labels. It knows neither networks nor data sets."""
