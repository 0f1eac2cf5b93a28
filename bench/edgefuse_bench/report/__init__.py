"""Results as a page to read and to pass on."""
