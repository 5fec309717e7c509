"""A seeded shop whose true next-event probabilities are known."""
