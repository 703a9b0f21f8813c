"""What a user does, a sentence each; both faces stand on these."""
