"""Data sets, losses, teacher training and distillation."""
