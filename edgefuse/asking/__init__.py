"""`edgefuse ask`: guided questions in a terminal, for people who do not type commands."""
