"""The verbs of ``hkdnet``: what a user types, one short file for each: parsing, one call below, printing."""
