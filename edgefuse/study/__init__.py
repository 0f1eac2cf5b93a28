"""Studies: encoders x fusion x shift x folds x seeds over one data set, and one report of all of it."""
