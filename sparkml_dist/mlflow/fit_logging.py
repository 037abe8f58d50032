"""Fits that log themselves: a run of MLflow for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.mlflow.flavour import MOST_EXAMPLES
from sparkml_dist.mlflow.model_logging import log_model
from sparkml_dist.mlflow.run_record import (
    RunRecord,
    children_of,
    shard_tags,
    spark_tags,
)
from sparkml_dist.mlflow.server import check_answers, mlflow_package, talking
from sparkml_dist.mlflow.signature import signature_of
from sparkml_dist.mlflow.values import params_of
from sparkml_dist.models.fit_events import Fit, add_fit_listener, remove_fit_listener

__all__ = ["autolog"]

#: Tag of a run that has a fit.
_FITTED = "sparkml_dist.estimator"


def autolog(
    *,
    log_models: bool = True,
    log_pictures: bool = True,
    child_runs: bool = False,
    input_example_rows: int = 0,
    registered_model_name: str | None = None,
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
    disable: bool = False,
) -> None:
    """Log every fit of this library's estimators in MLflow from now on.

    A fit logs in the active run, if that has no fit yet, and otherwise in a new one (below the
    active one, where there is one). Logged are the Params, those of learners too; the numbers of
    the model's summary, by epoch and by member; the shards; pictures; and the model with its
    signature. Fits inside of a fit (the trials of a search) are part of it. The driver does all of
    it. Where the server does not answer, a warning is logged and the fit goes on.

    Parameters
    ----------
    log_models : bool, default=True
        Whether to log the model itself.
    log_pictures : bool, default=True
        Whether to draw what the model knows of its fit.
    child_runs : bool, default=False
        Whether to log a run below for each member of an ensemble and each trial of a search.
    input_example_rows : int, default=0
        Rows of the training data to store with the model, for all who may read it to see; at most
        20.
    registered_model_name : str, optional
        Register each model as a new version of this model.
    experiment : str, optional
        Name of the experiment, for this process.
    tags : mapping of str to str, optional
        For each run.
    disable : bool, default=False
        Log no fits any more.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``, ``invalid_param``.
    StorageError
        ``tracking_failed`` where `experiment` cannot be set.

    Examples
    --------
    >>> import sparkml_dist.mlflow
    >>> sparkml_dist.mlflow.autolog(disable=True)
    """
    while _recorders:
        remove_fit_listener(_recorders.pop())
    if disable:
        return
    if not 0 <= input_example_rows <= MOST_EXAMPLES:
        raise ConfigurationError(
            "invalid_param",
            f"input_example_rows must be from 0 to {MOST_EXAMPLES}. Got {input_example_rows}.",
        )
    mlflow = mlflow_package()
    if experiment is not None:
        check_answers()
        with talking(f"set the experiment {experiment!r}"):
            mlflow.set_experiment(experiment)
    recorder = _Recorder(
        log_models=log_models,
        log_pictures=log_pictures,
        child_runs=child_runs,
        input_example_rows=input_example_rows,
        registered_model_name=registered_model_name,
        tags=dict(tags or {}),
    )
    _recorders.append(recorder)
    add_fit_listener(recorder)


@dataclass(eq=False)
class _Recorder:
    """Logs fits; see `FitListener`, whose errors are warnings."""

    log_models: bool
    log_pictures: bool
    child_runs: bool
    input_example_rows: int
    registered_model_name: str | None
    tags: dict[str, str] = field(default_factory=dict)

    def began(self, fit: Fit) -> None:
        """Start a run, or use the active one."""
        mlflow = mlflow_package()
        check_answers()
        name = type(fit.estimator).__name__
        with talking("log a fit"):
            active = mlflow.active_run()
            if active is not None:
                known = mlflow.MlflowClient().get_run(active.info.run_id).data.tags
            if active is None or _FITTED in known:
                run = mlflow.start_run(run_name=name, nested=active is not None)
                fit.notes[self] = run.info.run_id, True
            else:
                fit.notes[self] = active.info.run_id, False
            uid = {_FITTED: name, "sparkml_dist.uid": fit.estimator.uid}
            try:
                self._record(fit).write(
                    params=params_of(fit.estimator), tags={**uid, **spark_tags(), **self.tags}
                )
            except BaseException:
                self._end(fit, "FAILED")
                raise

    def ended(self, fit: Fit) -> None:
        """Log what came of it."""
        status = "FAILED"
        try:
            with talking("log a fit"):
                self._log(fit)
            status = "FINISHED"
        finally:
            self._end(fit, status)

    def failed(self, fit: Fit, error: BaseException) -> None:
        """Log why there is no model."""
        code = error.code if isinstance(error, SparkMLDistError) else type(error).__name__
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        try:
            with talking("log a fit"):
                tags = {"sparkml_dist.error": code, "sparkml_dist.error_text": str(error)[:500]}
                self._record(fit).write(tags=tags)
        finally:
            self._end(fit, status)

    def _log(self, fit: Fit) -> None:
        record = self._record(fit)
        if fit.shards is not None:
            record.write(tags=shard_tags(fit.shards))
            record.write_shards(fit.shards)
        record.write_summary(fit.model, pictures=self.log_pictures)
        if self.child_runs:
            record.write_children(children_of(fit.model))
        if self.log_models:
            df = fit.dataset if hasattr(fit.dataset, "sparkSession") else None
            signature = signature_of(fit.model, df)
            log_model(
                fit.model,
                run_id=record.run_id,
                registered_model_name=self.registered_model_name,
                signature=signature,
                input_example=self._example(fit, signature),
            )

    def _example(self, fit: Fit, signature: Any) -> Any:
        """Return the first rows, where the user wants any to be shown."""
        wanted = self.input_example_rows and hasattr(fit.dataset, "sparkSession")
        if not wanted or signature is None:
            return None
        names = [f"`{name.replace('`', '``')}`" for name in signature.inputs.input_names()]
        return fit.dataset.select(*names).limit(self.input_example_rows).toPandas()

    def _record(self, fit: Fit) -> RunRecord:
        return RunRecord(fit.notes[self][0])

    def _end(self, fit: Fit, status: str) -> None:
        _, own = fit.notes[self]
        if own:
            with talking("end a run"):
                mlflow_package().end_run(status)


_recorders: list[_Recorder] = []
