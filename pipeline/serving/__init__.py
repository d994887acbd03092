"""An exported model inside Beam: batch prediction, and the proof that it gives what training gave."""
