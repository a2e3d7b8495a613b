"""What every room may use, without knowing of images: errors, files, locks, tables, settings, arguments, threads."""
