"""Benchmarks that anyone can run; each holds a peer beside us in the same run and reports ratios."""
