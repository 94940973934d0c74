"""Training: recipes, batched augmentation, losses, optimizers, schedules and the loop."""
