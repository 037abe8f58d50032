"""A job as an external process of Dagster Pipes, submitted with spark-submit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dagster import (
    AssetExecutionContext,
    Failure,
    OpExecutionContext,
    PipesClient,
    PipesEnvContextInjector,
    PipesMessageReader,
    open_pipes_session,
)
from dagster._core.definitions.resource_annotation import TreatAsResourceParam
from dagster._core.pipes.client import PipesClientCompletedInvocation
from dagster._core.pipes.context import PipesMessageHandler

from sparkml_dist.orchestrators.arguments import as_texts, job_of, with_resume
from sparkml_dist.orchestrators.metrics_files import stored_documents, stored_metrics
from sparkml_dist.orchestrators.outcome import Outcome, printed_document
from sparkml_dist.orchestrators.processes import end_processes, process_tree

__all__ = ["JobClient"]

# Seconds that an interrupted job has to say so and to release its output folder.
_GRACE = 10.0
_KEPT_LINES = 20


class JobClient(PipesClient, TreatAsResourceParam):
    """Runs jobs of the toolkit for assets and ops, and reports their metrics.

    The scores, rows and seconds of a run become the metadata of the asset; the whole metrics
    document is a custom message (``get_custom_messages()``). An attempt that would fail again in
    the same way ends with a ``Failure`` that allows no retry; the others follow the asset's
    ``RetryPolicy``, and continue with ``--resume``. A run that is terminated ends all processes of
    the job.

    Parameters
    ----------
    submit : sequence of str, default=("spark-submit",)
        The program and its own options, such as ``("spark-submit", "--master", "yarn")``.
    env : mapping of str to str, optional
        Environment variables of the process, besides those of Dagster's.
    resume : bool, default=True
        Whether attempts after the first continue with ``--resume``.
    """

    def __init__(
        self,
        submit: Sequence[str] = ("spark-submit",),
        *,
        env: Mapping[str, str] | None = None,
        resume: bool = True,
    ) -> None:
        self.submit = tuple(submit)
        self.env = dict(env or {})
        self.resume = resume

    def run(
        self,
        *,
        context: AssetExecutionContext | OpExecutionContext,
        application: str,
        arguments: Sequence[Any],
        **_: Any,
    ) -> PipesClientCompletedInvocation:
        """Submit a job and wait for its end.

        Parameters
        ----------
        context : AssetExecutionContext or OpExecutionContext
        application : str
            Path or URI of the job's file, such as ``jobs/train_ensemble.py``.
        arguments : sequence
            Options of the job; numbers become text. Give every run an ``--output`` of its own.

        Returns
        -------
        PipesClientCompletedInvocation
            ``get_materialize_result()`` is what an asset returns.

        Raises
        ------
        dagster.Failure
            The job failed.
        """
        job, options = job_of(application), as_texts(arguments)
        if self.resume and _attempt(context) > 0:
            options = with_resume(options, job)
        before = {found["run_id"] for found in stored_documents(options)}
        reader = _MetricsReader()
        with open_pipes_session(
            context=context, context_injector=PipesEnvContextInjector(), message_reader=reader
        ) as session:
            status, document = self._process(
                [*self.submit, application, *options], session.get_bootstrap_env_vars()
            )
            if document is None and status != 0:  # a driver on the cluster leaves it in a file
                found = stored_documents(options)
                document = next((d for d in found if d["run_id"] not in before), None)
            if status != 0:
                outcome = Outcome(status, document)
                reader.report({"failed": True}, None)
                raise Failure(
                    outcome.message(job),
                    metadata={"exit_status": outcome.exit_status or status},
                    allow_retries=not outcome.permanent,
                )
            reader.report(document or stored_metrics(options) or {}, _asset(context))
        return PipesClientCompletedInvocation(session)

    def _process(
        self, command: Sequence[str], env: Mapping[str, str]
    ) -> tuple[int, dict[str, Any] | None]:
        """Run a command; its output is passed on. Returns its status and its document."""
        kept: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            process = subprocess.Popen(
                command,
                env={**os.environ, **self.env, **env},
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise Failure(
                f"There is no {command[0]} on the PATH. Put the bin folder of an environment "
                "with PySpark there.",
                allow_retries=False,
            ) from error
        try:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.write(line)
                kept.append(line.strip())
            return process.wait(), printed_document(kept)
        except BaseException:  # the run is terminated
            end_processes(process_tree(process.pid), _GRACE)
            raise


class _MetricsReader(PipesMessageReader):
    """Passes a job's metrics on as the messages that a process of Pipes sends."""

    _handler: PipesMessageHandler

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[dict[str, Any]]:
        """Keep the handler; the metrics come when the job has ended."""
        self._handler = handler
        yield {}

    def no_messages_debug_text(self) -> str:
        """Say where messages are looked for."""
        return "Looked for the metrics document that a job prints as its last line."

    def report(self, document: Mapping[str, Any], asset: str | None) -> None:
        """Report the metrics as a custom message, and as metadata of an asset."""
        self._send("opened", {})
        self._send("report_custom_message", {"payload": document})
        if asset is not None:
            metadata = {
                name: {"raw_value": value, "type": "__infer__"}
                for name, value in _metadata(document).items()
            }
            self._send(
                "report_asset_materialization",
                {"asset_key": asset, "metadata": metadata, "data_version": document.get("run_id")},
            )
        self._send("closed", {})

    def _send(self, method: str, params: Mapping[str, Any]) -> None:
        self._handler.handle_message(
            {"__dagster_pipes_version": "0.1", "method": method, "params": params}
        )


def _metadata(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in Dagster's tables and plots: scores, rows, seconds, the run."""
    found = dict(document.get("metrics") or {})
    found |= {name: document.get(name) for name in ("job", "run_id", "rows", "features")}
    found["seconds"] = (document.get("seconds") or {}).get("total")
    return {name: value for name, value in found.items() if value is not None}


def _attempt(context: AssetExecutionContext | OpExecutionContext) -> int:
    own = getattr(context, "op_execution_context", context)
    return int(own.retry_number)


def _asset(context: AssetExecutionContext | OpExecutionContext) -> str | None:
    """Return the key of the only asset that is made, or None."""
    own = getattr(context, "op_execution_context", context)
    keys = own.selected_asset_keys if own.has_assets_def else ()
    return next(iter(keys)).to_escaped_user_string() if len(keys) == 1 else None
