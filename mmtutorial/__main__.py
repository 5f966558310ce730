"""Let `python -m mmtutorial` do what the command `mmtutorial` does."""

from mmtutorial.cli import app

app()
