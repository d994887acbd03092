"""MaskedMeanPool in a Keras model of your own: the mean of a list's real values, without the padding."""

import keras
import numpy as np

from fieldpool import MaskedMeanPool

# What four users watched, padded with 0. The last one watched nothing.
history = np.array([[3, 7, 0, 0], [7, 7, 2, 9], [5, 0, 0, 0], [0, 0, 0, 0]])
clicked = np.array([1.0, 0.0, 1.0, 0.0])

ids = keras.Input([None], dtype="int32")
vectors = keras.layers.Embedding(10, 8, mask_zero=True)(ids)  # [batch, max_len, 8]; id 0 is masked
pooled = MaskedMeanPool()(vectors)  # [batch, 8]
model = keras.Model(ids, keras.layers.Dense(1, activation="sigmoid")(pooled))
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(history, clicked, epochs=5, verbose=0)

probabilities = model.predict(history, verbose=0)
longer = np.pad(history, [(0, 0), (0, 3)])
np.testing.assert_allclose(model.predict(longer, verbose=0), probabilities, rtol=1e-6)
print("Click probabilities, the same with three more columns of padding:", probabilities.ravel())

# The layer is registered with Keras, so the model can be saved and loaded as any other.
model.save("watched.keras")
loaded = keras.saving.load_model("watched.keras")
np.testing.assert_array_equal(loaded.predict(history, verbose=0), probabilities)
