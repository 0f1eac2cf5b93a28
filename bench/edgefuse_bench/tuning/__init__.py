"""Which engine, how many threads and which precision are fastest for a kit on this very device."""
