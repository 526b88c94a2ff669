"""The networks of the paper: torch only, no I/O."""
