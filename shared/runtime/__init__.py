"""What a process needs to run: lifecycle, logs, health, metrics, and the words for failure."""
