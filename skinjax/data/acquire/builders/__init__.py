"""One TFDS builder per data set, each in a folder of its own, written as ArrayRecord without TensorFlow."""
