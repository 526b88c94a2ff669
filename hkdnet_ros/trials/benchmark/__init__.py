"""What a pair costs through the whole node, beside what anyone could do instead."""
