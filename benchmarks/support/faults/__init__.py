"""What `benchmarks.faults` is made of: real processes, ways to break them, and a judge from outside."""
