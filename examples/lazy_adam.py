"""LazyAdam in any Keras model on TensorFlow: Adam that updates only the embeddings of a batch."""

import keras
import numpy as np

from fieldpool import LazyAdam

embedding = keras.layers.Embedding(100_000, 16)
model = keras.Sequential(
    [keras.Input([5], dtype="int32"), embedding, keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")]
)
model.compile(optimizer=LazyAdam(0.01), loss="binary_crossentropy")
before = embedding.embeddings.numpy()

ids = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 6, 7]])
model.fit(ids, np.array([1.0, 0.0]), epochs=3, verbose=0)

changed = np.flatnonzero((embedding.embeddings.numpy() != before).any(axis=1))
print("Rows that changed, of 100,000:", changed.tolist())
assert changed.tolist() == [1, 2, 3, 4, 5, 6, 7]
