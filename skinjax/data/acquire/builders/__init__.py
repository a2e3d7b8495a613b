"""How the source of each data set is read, and the TFDS builder that writes ArrayRecord without TensorFlow."""
