"""One file for each family of backbones. They know no data, and one another only to share blocks."""
