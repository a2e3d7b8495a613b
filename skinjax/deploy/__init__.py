"""A trained network on somebody's desk: one file that carries all it takes, predicted with, exported and served.

What is here opens networks and asks them; it trains nothing, and knows no data set but where a bundle is made.
"""
