"""Experiments with several runs: sweeps, cross-validation, ensembles, reproductions, and private sets."""
