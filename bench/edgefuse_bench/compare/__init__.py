"""Two results side by side: how far apart they are, and whether that is more than noise."""
