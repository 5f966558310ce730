"""Data whose users we simulate, so that the truth about their tastes is known."""
