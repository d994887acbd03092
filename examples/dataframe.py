"""From a DataFrame to metrics in five lines."""

import random
import tempfile

import pandas as pd

import fieldpool

chance = random.Random(0)
genres = ["Action", "Comedy", "Drama", "Horror"]
rows = [
    {"user": f"u{chance.randrange(20)}", "genres": chance.sample(genres, chance.randint(0, 3)), "hour": hour % 24}
    for hour in range(2000)
]
df = pd.DataFrame(rows)
df["clicked"] = [int(("Drama" in seen) == (user < "u2")) for seen, user in zip(df["genres"], df["user"], strict=True)]
df["day"] = df.index // 24

spec = {
    "label": {"field": "clicked"},
    "split": {"time": "day", "train": 0.8, "eval": 0.1, "test": 0.1},
    "fields": {
        "user": {"type": "categorical"},
        "genres": {"type": "multivalued"},
        "hour": {"type": "numeric"},
    },
    "model": {"embedding_dim": 8, "hidden_units": [16]},
    "train": {"batch_size": 100, "epochs": 5, "learning_rate": 0.01},
}

with tempfile.TemporaryDirectory() as folder:
    run = fieldpool.transform(spec, df, f"{folder}/run")
    print(run)
    model = fieldpool.train(run, f"{folder}/model")
    print(fieldpool.evaluate(run, model))
    print(run.vocabulary("genres").to_pandas())
