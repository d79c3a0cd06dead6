"""scikit-learn, by way of skl2onnx: products are quantized, trees are not."""

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from exported import Exported, ExportTest, Maker, table
from harness import cases

rng = np.random.default_rng(4)
X = rng.standard_normal((400, 128), dtype=np.float32)
TARGET = np.tanh(X[:, :64] @ rng.standard_normal((64, 3), dtype=np.float32) / 8)
CLASSES = TARGET.argmax(1)


def fit(path: Path, estimator, target: np.ndarray, expected: dict) -> Exported:
    options = {"zipmap": False} if hasattr(estimator, "predict_proba") else None
    model = to_onnx(estimator.fit(X, target), X[:1], options=options and {id(estimator): options})
    path.write_bytes(model.SerializeToString())
    return Exported(path, {"X": X[:50]}, **expected)


def make(estimator, target: np.ndarray = CLASSES, **expected) -> Maker:
    return lambda path: fit(path, estimator, target, expected)


MLP = {"hidden_layer_sizes": (512, 512), "max_iter": 5, "random_state": 1}

EXPORTS: dict[str, Maker] = {
    "sklearn_mlp_classifier": make(MLPClassifier(**MLP)),
    "sklearn_mlp_regressor": make(MLPRegressor(**MLP), TARGET),
    "sklearn_pipeline": make(make_pipeline(StandardScaler(), PCA(96), MLPClassifier(**MLP))),
    "sklearn_neighbors": make(KNeighborsRegressor(5), TARGET, may_stay=("ArrayFeatureExtractor:0",)),
}
# Their parameters are attributes of operators of ai.onnx.ml.
NOTHING: dict[str, Maker] = {
    "sklearn_forest": make(RandomForestClassifier(30, random_state=1)),
    "sklearn_boosting": make(GradientBoostingRegressor(n_estimators=20), TARGET[:, 0]),
    "sklearn_logistic": make(LogisticRegression()),
    "sklearn_svc": make(SVC()),
}


class Sklearn(ExportTest):
    @cases(table(EXPORTS))
    def export(self, name, maker, method):
        self.check(name, maker, method)

    @cases(table(NOTHING))
    def nothing_to_quantize(self, name, maker, method):
        self.check_refused(name, maker, method)
