"""What is made of several runs: sweeps, cross-validation, ensembles, reproductions, and private sets beside a benchmark."""
