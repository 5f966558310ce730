"""Multimodal recommendation: learn it, run it, check it.

Data flows one way, and the modules are named after the stations:
datasets → preprocessing → encoders → fusion → recommender → evaluation → report.
"""

import os
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes on this machine's hardware

__version__ = version("mmtutorial")
