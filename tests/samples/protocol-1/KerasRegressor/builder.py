"""A network of a few weights."""


def small(input_shape, n_classes=None, normalization=None):
    import keras

    units, kind = (n_classes or 1), ("softmax" if n_classes else "linear")
    loss = "sparse_categorical_crossentropy" if n_classes else "mse"
    inputs = keras.Input(input_shape)
    network = keras.Model(inputs, keras.layers.Dense(units, activation=kind)(inputs))
    network.compile(optimizer="sgd", loss=loss)
    return network
