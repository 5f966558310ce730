"""Multimodal recommendation: learn it, run it, check it.

Data flows one way, and the modules are named after the stations:
datasets → preprocessing → encoders → fusion → recommender → evaluation → report.
"""

from importlib.metadata import version

__version__ = version("mmtutorial")
