"""What `test_deep_q_learning` asks of a saved policy, in a process with TensorFlow; prints JSON."""

from __future__ import annotations

import json
import pickle
import sys

import numpy as np

from sparkml_dist import load_model

if __name__ == "__main__":
    import onnxruntime

    path = sys.argv[1]
    model = load_model(path)
    states = np.array([[1.0], [2.0], [3.0]], np.float32)
    policy = model.to_local()
    acts = [int(policy.act(state)) for state in states]
    copied = pickle.loads(pickle.dumps(policy))
    model.export_onnx(f"{path}/policy.onnx")
    session = onnxruntime.InferenceSession(f"{path}/policy.onnx")
    label, probability = session.run(["label", "probability"], {"features": states})
    found = {
        "acts": acts,
        "copied": [int(a) for a in copied.choose(states)],
        "onnx": [int(v) for v in label],
        "gap": float(np.abs(probability - policy.probabilities(states)).max()),
    }
    print(json.dumps(found))
