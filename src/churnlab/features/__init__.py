"""What is known of each customer at a cutoff, and what happened after it."""
