"""Run every notebook and experiment with one command, and judge the article's claims by them."""
