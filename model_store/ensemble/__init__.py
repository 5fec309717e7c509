"""Several networks, the nearest sessions and the followers of items, weighed together and served live."""
