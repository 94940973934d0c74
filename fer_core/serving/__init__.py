"""Predicting on whole photos, frames, videos and folders with trained networks, and exporting networks."""
