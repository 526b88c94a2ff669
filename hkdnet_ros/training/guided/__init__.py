"""Training of the guided student and of its teacher."""
