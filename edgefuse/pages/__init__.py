"""Reports as pages: what those of a study, of an export's parity and of the bench share."""
