"""Encoders: one Keras network for each modality, each turning an item's array into one vector."""
