"""What pictures suffer on their way: each damage alone, chains, four strengths; drawn pictures."""
