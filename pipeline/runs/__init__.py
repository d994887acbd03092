"""Creates run directories (`transform`), dry runs (`explain`) and comparisons of new rows with a run (`check`)."""
