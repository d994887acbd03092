"""What makes a run directory, and what compares new rows with one."""
