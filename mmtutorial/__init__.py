"""Multimodal recommendation: learn it, run it, check it.

Data flows one way, and the modules are named after the stations:
datasets → preprocessing → encoders → fusion → recommender → evaluation → report.
"""

from importlib.metadata import version

from mmtutorial.quiet import quiet_tensorflow

quiet_tensorflow()

__version__ = version("mmtutorial")
