"""Where one camera sees what another sees: lens models, transforms, lookup tables, and the files they come from."""
