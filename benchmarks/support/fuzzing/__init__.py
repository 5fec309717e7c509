"""What `benchmarks.fuzz` is made of: the targets, and the process that fuzzes one of them."""
