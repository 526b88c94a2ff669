"""The verbs of ``hkdnet``: what a user types, one module for each."""
