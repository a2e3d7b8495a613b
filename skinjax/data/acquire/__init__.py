"""From downloads and folders to a prepared data set: sources, builders, decoding, the scan. It knows no split."""
