"""The node under one fault after the other, with every published pair checked."""
