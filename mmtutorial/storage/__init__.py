"""What is kept on disk: written whole or not at all, read without running what a file names."""
