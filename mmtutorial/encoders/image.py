"""Images through a convolutional network (article, section 3.2.3): one vector a picture."""

from __future__ import annotations

from mmtutorial.keras_settings import keras, keras_defaults, layers

FILTERS = (16, 32, 64)  # of the three convolutions
KERNEL, POOL = 3, 2


@keras_defaults()
def image_encoder(
    height: int, width: int, channels: int = 3, units: int = 64, name: str = "image_encoder"
) -> keras.Model:
    """Build a plain network of four layers that turns pictures into vectors.

    Three times a convolution of 3×3 with ReLU and a max-pooling of 2×2, with 16, 32 and 64
    filters, then one dense layer. That is LeCun et al.'s plan of 1998 with the activation and the
    pooling of today; chapter 3 derives every part of it and trains it. It is small on purpose:
    seconds to a few minutes on two cores.

    The last layer has no activation, so that vectors may point in any direction, as a dot product
    of two towers needs. Put an activation behind it where a classifier follows, or none.

    Parameters
    ----------
    height, width, channels : int
        Of the pictures, in pixels; 32 × 32 × 3 is what
        `mmtutorial.preprocessing.image.encode_images` makes unless told otherwise.
    units : int
        Length of the vectors.
    name : str
        Of the model.

    Returns
    -------
    keras.Model
        Input float32 (batch, height, width, channels) in 0…1, which the first layer stretches to
        −1…1; output float32 (batch, units). Not compiled. Weights are drawn by Keras's seed
        (`keras.utils.set_random_seed`). An absent picture, all zeros, is a black one to it:
        its vector must be masked by whoever fuses it with others.

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> encoder = image_encoder(32, 32, channels=3, units=10)
    >>> encoder.output_shape
    (None, 10)
    >>> [layer.name for layer in encoder.layers if "convolution" in layer.name]
    ['convolution_1', 'convolution_2', 'convolution_3']
    """
    sizes = {"height": height, "width": width, "channels": channels, "units": units}
    for argument, size in sizes.items():
        if size < 1:
            raise ValueError(f"{argument} is {size}; give a whole number of at least 1")
    x = image = layers.Input(shape=(height, width, channels), name="image")
    x = layers.Rescaling(2.0, offset=-1.0, name="stretch")(x)
    for number, filters in enumerate(FILTERS, start=1):
        x = layers.Conv2D(
            filters,
            KERNEL,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",  # fits ReLU: chapter 3 measures why
            name=f"convolution_{number}",
        )(x)
        x = layers.MaxPooling2D(POOL, padding="same", name=f"pooling_{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(units, name="vector")(x), name=name)
