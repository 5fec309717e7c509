"""What a network reads of an event beside item, type and category. `table` declares each feature once."""
