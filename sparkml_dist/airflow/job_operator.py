"""A job as a task of Airflow, submitted with spark-submit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkml_dist.orchestrators.arguments import as_texts, job_of, with_resume
from sparkml_dist.orchestrators.metrics_files import stored_documents, stored_metrics
from sparkml_dist.orchestrators.outcome import Outcome, printed_document
from sparkml_dist.orchestrators.processes import end_processes, process_tree

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["JobOperator"]

# Airflow kills a task five seconds after it has asked it to end.
_GRACE = 3.0


class JobOperator(SparkSubmitOperator):
    """Submits a job of the toolkit, and returns its metrics.

    What it adds to the provider's operator:

    - The metrics document of the run is the task's XCom, so that other tasks can use
      ``ti.xcom_pull("train")["metrics"]["accuracy"]``.
    - An attempt that would fail again in the same way (exit status 2, 10 and 11, and 13 where no
      process or host was lost) fails the task at once; the others are tried again, as often as
      ``retries`` says.
    - Attempts after the first continue with ``--resume`` where the job has it and
      ``--overwrite`` is not given.
    - A task that is stopped or exceeds its time ends all processes of the job.

    Parameters
    ----------
    resume : bool, default=True
        Whether attempts after the first continue with ``--resume``.
    application : str
        Path or URI of the job's file, such as ``/opt/sparkml_dist/jobs/train_ensemble.py``.
    application_args : list
        Options of the job; templates and numbers are allowed. Give every run an ``--output`` of
        its own, such as ``/models/{{ ds }}``.
    **kwargs
        As for ``SparkSubmitOperator``: ``conn_id``, ``conf``, ``properties_file``, ``env_vars``,
        ``retries`` and others.

    Raises
    ------
    AirflowFailException
        When the task runs, for an error that would come again, or without ``spark-submit``.
    AirflowException
        When the task runs, for an error that another attempt may not meet.
    """

    def __init__(self, *, resume: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.resume = resume

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit the job, wait for its end, and return its metrics document.

        Parameters
        ----------
        context : Context
            Airflow's context of the task.

        Returns
        -------
        dict or None
            None where neither the log nor a file has the metrics.
        """
        arguments = as_texts(self.application_args)
        if self.resume and context["ti"].try_number > 1:
            arguments = with_resume(arguments, self._job)
        self.application_args: list[str] = arguments
        in_cluster = _in_cluster(self._get_hook())
        before = stored_documents(self.application_args) if in_cluster else []
        try:
            super().execute(context)
        except FileNotFoundError as error:
            raise AirflowFailException(
                f"There is no {error.filename} on the PATH of the Airflow worker. Put the bin "
                "folder of an environment with PySpark there."
            ) from error
        except Exception as error:
            raise self._failure(error, {found["run_id"] for found in before}) from error
        except BaseException:  # out of time, or interrupted
            self._end()
            raise
        found = self._printed() or stored_metrics(self.application_args)
        if found is None:
            self.log.warning("The metrics of %s were not found; the task returns none.", self._job)
        return found

    def on_kill(self) -> None:
        """End all processes of the job, and its driver on a cluster."""
        if self._hook is None:
            return
        submit = getattr(self._hook, "_submit_sp", None)
        tree = process_tree(submit.pid) if submit is not None else []
        if not _in_cluster(self._hook):
            # The hook kills spark-submit alone, at once, and leaves the job without a word.
            end_processes(tree, _GRACE)
        super().on_kill()
        end_processes(tree, 0)

    @property
    def _job(self) -> str:
        return job_of(self.application)

    def _printed(self) -> dict[str, Any] | None:
        return printed_document(getattr(self._hook, "_last_submit_log_lines", ()))

    def _failure(self, error: Exception, earlier: set[str]) -> Exception:
        """Return the error in Airflow's terms."""
        submit = getattr(self._hook, "_submit_sp", None)
        if submit is None:  # nothing was run
            return error
        found = self._printed()
        if found is None and _in_cluster(self._hook):
            documents = stored_documents(self.application_args)
            found = next((d for d in documents if d["run_id"] not in earlier), None)
        # On Kubernetes, that of the driver's container. 0: spark-submit did not wait for it.
        status = getattr(self._hook, "_spark_exit_code", None) or submit.returncode
        outcome = Outcome(status or None, found)
        kind = AirflowFailException if outcome.permanent else AirflowException
        return kind(outcome.message(self._job))

    def _end(self) -> None:
        submit = getattr(self._hook, "_submit_sp", None)
        if submit is not None:
            end_processes(process_tree(submit.pid), _GRACE)


def _in_cluster(hook: Any) -> bool:
    """Return whether the driver runs on the cluster: its log and status do not come here."""
    return bool(hook and hook._connection["deploy_mode"] == "cluster")
