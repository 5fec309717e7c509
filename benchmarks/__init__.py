"""Measurements, one program each: `python -m benchmarks.NAME`, whose last line is one JSON object."""
