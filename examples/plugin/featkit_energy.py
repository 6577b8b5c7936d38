from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featkit.backend import Backend
from featkit.features import FeatureExtractor
from featkit.graph import convert_classifier


class Energy(FeatureExtractor):
    """Power of every 10 ms."""

    name = "energy"

    def frames(self, wave):
        return (wave[: wave.size // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1, keepdims=True)


class Logistic(Backend):
    """Logistic regression."""

    name, consumes = "logistic", "functionals"

    def fit(self, X, y, sample_weight=None, groups=None):
        self.model_ = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        self.model_.fit(X, y, logisticregression__sample_weight=sample_weight)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def to_onnx(self):
        return convert_classifier(self.model_, self.model_.n_features_in_)
