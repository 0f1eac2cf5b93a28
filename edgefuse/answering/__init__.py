"""From a picture and its note to an answer, on the device."""
