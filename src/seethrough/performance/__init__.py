"""What benchmarks measure, how it is written down, and the work that they time."""
