"""Which images train and which are held out: drawn, published or official, and whether anything leaks."""
