"""PooledEmbeddings in a Keras model of your own: all lookups and poolings in one layer, with shared tables."""

import keras
import numpy as np

from fieldpool import PooledEmbeddings

layer = PooledEmbeddings(
    tables={"movies": {"rows": 100, "dim": 16}, "genres": {"rows": 20, "dim": 4}},
    fields={
        "movie": {"table": "movies", "pooling": None, "weights": None},  # one id a row
        "history": {"table": "movies", "pooling": "mean", "weights": None},  # the same table: the same embeddings
        "genres": {"table": "genres", "pooling": "sum", "weights": "genre_weights"},
    },
    dim=16,  # of the outputs: the genres' vectors of 4 numbers are projected to 16
)
features = {
    "movie": np.array([5, 9, 0]),  # 0: missing
    "history": np.array([[5, 7, 0], [9, 9, 9], [0, 0, 0]]),  # padded with 0
    "genres": np.array([[1, 2], [3, 0], [0, 0]]),
    "genre_weights": np.array([[0.5, 1.0], [1.0, 0.0], [0.0, 0.0]], np.float32),
}
clicked = np.array([[1.0], [0.0], [1.0]])

inputs = {name: keras.Input(values.shape[1:], dtype=values.dtype.name) for name, values in features.items()}
vectors, linear = layer(inputs)  # [batch, 3 fields, 16] and [batch, 3 fields]
hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(vectors))
logit = keras.layers.Dense(1)(keras.layers.Concatenate()([hidden, linear]))
model = keras.Model(inputs, logit)
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(features, clicked, epochs=3, verbose=0)

pooled, _ = layer(features)
movies = keras.ops.convert_to_numpy(layer.table("movies"))[:, :-1]  # The last column has the linear weights.
np.testing.assert_allclose(pooled[0, 1], movies[[5, 7]].mean(axis=0), rtol=1e-5)
np.testing.assert_array_equal(pooled[2], np.zeros([3, 16]))
print("The history of row 0 is the mean of the embeddings 5 and 7; an empty row is all zeros.")
