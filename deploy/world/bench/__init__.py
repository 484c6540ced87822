"""Benchmarks: real broker, database and gateway on this machine, and a load that is counted."""
