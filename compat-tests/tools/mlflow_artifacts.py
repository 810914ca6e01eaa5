"""MLflow: a run's artifacts in S3, logged, listed, fetched and deleted."""

import os
import pathlib
import tempfile

os.environ["MLFLOW_S3_ENDPOINT_URL"] = os.environ["S3_URL"]
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import boto3
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

boto3.client("s3", endpoint_url=os.environ["S3_URL"]).create_bucket(Bucket="mlflow")
artifacts = get_artifact_repository("s3://mlflow/1/run/artifacts")
with tempfile.TemporaryDirectory() as directory:
    here = pathlib.Path(directory, "here")
    (here / "model").mkdir(parents=True)
    (here / "model" / "weights.bin").write_bytes(os.urandom(12 << 20))
    (here / "notes.txt").write_text("notes")
    artifacts.log_artifacts(str(here))
    artifacts.log_artifact(str(here / "notes.txt"), "more")
    assert sorted(info.path for info in artifacts.list_artifacts()) == ["model", "more", "notes.txt"]
    fetched = pathlib.Path(artifacts.download_artifacts("", str(directory)))
    fetched = pathlib.Path(artifacts.download_artifacts("model"))
    assert (fetched / "weights.bin").read_bytes() == (here / "model" / "weights.bin").read_bytes()
    artifacts.delete_artifacts("more")
    assert sorted(info.path for info in artifacts.list_artifacts()) == ["model", "notes.txt"]
