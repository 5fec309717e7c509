"""What several benchmarks share: the workload, a model of a given size, the reader, the machine's name."""
