"""What pictures suffer on their way: each damage alone, chains of them, and the test set's four."""
