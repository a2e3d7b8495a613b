"""skinjax: classifiers for imbalanced skin-lesion photographs."""
