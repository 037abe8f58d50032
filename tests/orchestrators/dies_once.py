"""A learner whose process is killed during its fourth fit, as the kernel does without memory."""

import os
import signal
from pathlib import Path

from sklearn.tree import DecisionTreeClassifier


class DiesOnce(DecisionTreeClassifier):
    """A tree that notes its fits as files in a folder."""

    def __init__(self, folder=".", max_depth=3, random_state=None):
        super().__init__(max_depth=max_depth, random_state=random_state)
        self.folder = folder

    def fit(self, X, y, sample_weight=None):
        fits = len(list(Path(self.folder).iterdir()))
        Path(self.folder, f"{fits}-{os.getpid()}-{id(self)}").touch()
        if fits == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)
