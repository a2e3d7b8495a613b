"""What is put on a backbone's maps: classifiers, the decoder, what joins patches. It knows no method."""
