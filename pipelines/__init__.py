"""One thin script per stage: read, call, write, track."""
