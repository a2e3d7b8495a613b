"""A model behind a web page and a JSON API, for those who sit at this machine.

What comes in is measured, decoded, answered and forgotten: nothing is stored, and no name of a client's is a path.
"""
