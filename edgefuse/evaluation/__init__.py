"""How a trained head does on rows that nothing was chosen by."""
