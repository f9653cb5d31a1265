"""Throughput and latency of an installation, measured with real servers and receivers."""
