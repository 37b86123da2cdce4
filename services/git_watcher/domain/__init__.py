"""What git-watcher has published, as it remembers that: pure."""
