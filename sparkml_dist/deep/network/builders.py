"""Built-in networks: ``mlp`` for numeric columns, ``cnn`` for images.

A builder is a function that returns a compiled Keras model. It is called on every rank with those
of these keyword arguments that it accepts:

``input_shape`` : tuple of int
    Shape of a row.
``n_classes`` : int
    Number of classes; not passed for a regression.
``normalization`` : tuple of two ndarrays of shape (n_features,)
    Mean and standard deviation of every feature, without missing values.
``target_normalization`` : tuple of two floats
    Mean and standard deviation of the label of a regression.
``total_steps`` : int
    Number of steps of the whole training, for a learning-rate schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError

__all__ = ["BUILDERS", "cnn", "mlp", "normalized"]

_USUAL = (1e-3, 1e6)  # standard deviations that need no rescaling for Keras

Moments = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def mlp(
    input_shape: tuple[int, ...],
    n_classes: int | None = None,
    normalization: Moments | None = None,
    target_normalization: tuple[float, float] = (0.0, 1.0),
    total_steps: int = 1000,
) -> Any:
    """Build a network with hidden layers of 256 and 128 units; missing values become the mean.

    Parameters
    ----------
    input_shape, n_classes, normalization, target_normalization, total_steps
        See the module's docstring.

    Returns
    -------
    keras.Model
        Compiled with Adam.
    """
    import keras
    from keras import layers

    inputs = keras.Input(input_shape)
    x = layers.Flatten()(inputs) if len(input_shape) > 1 else inputs
    if normalization is not None:
        x = normalized(x, *normalization)
    x = keras.ops.nan_to_num(x, nan=0.0)
    for units in (256, 128):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Dropout(0.1)(x)
    outputs = _outputs(x, n_classes, target_normalization)
    model = keras.Model(inputs, outputs, name="mlp")
    return _compiled(model, 2e-3, total_steps, regression=n_classes is None)


def cnn(
    input_shape: tuple[int, ...],
    n_classes: int | None = None,
    normalization: Moments | None = None,
    target_normalization: tuple[float, float] = (0.0, 1.0),
    total_steps: int = 1000,
) -> Any:
    """Build a small convolutional network for images of shape (height, width, channels).

    Each stage halves the image until it is smaller than 8 pixels.

    Parameters
    ----------
    input_shape, n_classes, normalization, target_normalization, total_steps
        See the module's docstring.

    Returns
    -------
    keras.Model
        Compiled with Adam.

    Raises
    ------
    ConfigurationError
        ``input_shape_differs`` when rows are not images.
    """
    import keras
    from keras import layers

    if len(input_shape) == 2:
        input_shape = (*input_shape, 1)
    if len(input_shape) != 3:
        raise ConfigurationError(
            "input_shape_differs",
            f"cnn needs rows of shape (height, width, channels). Got {input_shape}.",
            "Set the input shape, e.g. 28,28,1, or use mlp.",
        )
    height, width, channels = input_shape
    inputs = keras.Input(input_shape)
    x = inputs
    if normalization is not None:
        # One scale per channel: pixels at the border hardly vary.
        mean, std = (np.asarray(m, np.float64).reshape(-1, channels) for m in normalization)
        centre = mean.mean(axis=0)
        std = np.where(std == 1.0, 0.0, std)  # 1.0 means a constant pixel
        spread = np.sqrt((np.square(std) + np.square(mean - centre)).mean(axis=0))
        x = normalized(x, centre, np.where(spread > 0, spread, 1.0))
    x = keras.ops.nan_to_num(x, nan=0.0)
    # One layer at full resolution, which has many pixels, then pairs of layers on halved images.
    x = _convolved(x, 16)
    filters = 32
    while min(height, width) >= 8:
        x = layers.MaxPooling2D(2)(x)
        height, width = height // 2, width // 2
        x = _convolved(_convolved(x, filters), filters)
        filters *= 2
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    outputs = _outputs(x, n_classes, target_normalization)
    model = keras.Model(inputs, outputs, name="cnn")
    return _compiled(model, 5e-3, total_steps, regression=n_classes is None)


BUILDERS: dict[str, Callable[..., Any]] = {"mlp": mlp, "cnn": cnn}


def normalized(x: Any, mean: npt.NDArray[Any], std: npt.NDArray[Any]) -> Any:
    """Return features with mean 0 and standard deviation 1, in any units."""
    from keras import layers

    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    # Keras accepts no deviation below 1e-7, and its square must fit float32. A power of two scales
    # it to about 1 without rounding.
    usual = (std > _USUAL[0]) & (std < _USUAL[1])
    scale = np.where(usual, 1.0, np.exp2(-np.floor(np.log2(std))))
    if not usual.all():
        x = layers.Rescaling(scale.tolist(), dtype="float32")(x)
    variance = np.square(std * scale)
    return layers.Normalization(mean=mean * scale, variance=variance, dtype="float32")(x)


def _convolved(x: Any, filters: int) -> Any:
    from keras import layers

    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x)


def _outputs(x: Any, n_classes: int | None, target_normalization: tuple[float, float]) -> Any:
    from keras import layers

    # Outputs are in full precision, also with mixed precision.
    if n_classes is not None:
        return layers.Dense(n_classes, activation="softmax", dtype="float32")(x)
    # The layers before learn a target with mean 0 and deviation 1, in any unit.
    mean, std = target_normalization
    return layers.Rescaling(std, offset=mean, dtype="float32")(layers.Dense(1, dtype="float32")(x))


def _compiled(model: Any, rate: float, total_steps: int, *, regression: bool) -> Any:
    import keras

    warm = max(1, min(total_steps // 10, 500))
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 10,
        max(1, total_steps - warm),
        alpha=0.01,
        warmup_target=rate,
        warmup_steps=warm,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss="mse" if regression else "sparse_categorical_crossentropy",
        metrics=["mae"] if regression else ["accuracy"],
        jit_compile=False,
    )
    return model
