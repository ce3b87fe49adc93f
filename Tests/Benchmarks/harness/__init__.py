"""What `Tests/Benchmarks/compare` is made of: two pods in network namespaces, contestants, loads, tables."""
