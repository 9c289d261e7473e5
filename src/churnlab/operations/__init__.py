"""Running it: scoring, tracking, manifests, files for people."""
