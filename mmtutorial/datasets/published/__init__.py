"""Data of real users, as others have published them."""
