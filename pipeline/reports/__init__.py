"""HTML pages: the profile of a data set (`fieldpool profile`) and the report of a model (`fieldpool report`)."""
