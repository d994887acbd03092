"""read_examples in a training loop of your own: a run as a tf.data.Dataset of features and labels."""

import random
import tempfile

import keras
import pandas as pd
import tensorflow as tf

from fieldpool import LazyAdam, MaskedMeanPool, read_examples, transform

chance = random.Random(0)
genres = ["Action", "Comedy", "Drama", "Horror"]
lists = [chance.sample(genres, chance.randint(0, 3)) for _ in range(1000)]
log = pd.DataFrame({"genres": lists, "clicked": [int("Drama" in row) for row in lists], "user": range(1000)})
spec = {
    "label": {"field": "clicked"},
    "split": {"hash": "user", "train": 0.8, "eval": 0.1, "test": 0.1},
    "fields": {"genres": {"type": "multivalued", "max_len": 3}},
}

with tempfile.TemporaryDirectory() as folder:
    run = transform(spec, log, f"{folder}/run")
    ids = keras.Input([3], dtype="int64")
    vectors = keras.layers.Embedding(run.vocabulary_sizes["genres"], 4, mask_zero=True)(ids)
    model = keras.Model(ids, keras.layers.Dense(1)(MaskedMeanPool()(vectors)))
    optimizer, loss_of = LazyAdam(0.05), keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(features: dict[str, tf.Tensor], label: tf.Tensor) -> tf.Tensor:
        """Updates the model by one batch; returns its loss."""
        with tf.GradientTape() as tape:
            loss = loss_of(label[:, tf.newaxis], model(features["genres"], training=True))
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]))
        return loss

    for epoch in range(5):
        dataset = read_examples(run, "train", batch_size=50, shuffle_buffer=1000, seed=1, epoch=epoch)
        losses = [float(step(features, label)) for features, label in dataset]
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}")
assert losses[-1] < 0.3
