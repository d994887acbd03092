"""DeepFM on features of your own: ids from 1, lists padded with 0, and numbers."""

import keras
import numpy as np

from fieldpool import DeepFM, LazyAdam

random = np.random.default_rng(0)
rows, movies, max_len = 2000, 50, 5
lengths = random.integers(0, max_len + 1, rows)
features = {
    "movie": random.integers(1, movies + 1, rows),
    "history": np.where(np.arange(max_len) < lengths[:, None], random.integers(1, movies + 1, (rows, max_len)), 0),
    "age": random.normal(size=rows).astype(np.float32),
}
# Young users click on movies with an even number.
clicked = ((features["movie"] % 2 == 0) & (features["age"] < 0.5)).astype(np.float32)

model = DeepFM(
    tables={"movies": {"rows": movies + 1, "dim": 8}},  # one row more than ids: row 0 is the padding
    fields={
        "movie": {"table": "movies", "pooling": None, "weights": None},
        "history": {"table": "movies", "pooling": "mean", "weights": None},
    },
    numeric=["age"],
    embedding_dim=8,
    hidden_units=[16],
)
model.compile(
    optimizer=LazyAdam(0.01),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),  # The model returns logits, [batch, 1].
    metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
)
model.fit(features, clicked, batch_size=100, epochs=5, verbose=0)
print("AUC on the train rows:", round(model.evaluate(features, clicked, verbose=0, return_dict=True)["auc"], 3))

three = {name: values[:3] for name, values in features.items()}
print("Click probabilities:", keras.ops.sigmoid(model.predict(three, verbose=0)).numpy().ravel())
