"""The networks of the paper: torch only, no I/O."""

from ..openmp import wait_asleep

wait_asleep()  # before any module here imports torch
