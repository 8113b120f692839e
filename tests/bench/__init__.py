"""What the bridge costs, measured side by side on one machine: `make bench` writes docs/benchmarks.md."""
