"""What the Python scenarios share; they run where no boto3 is."""

import os

import pyarrow.fs

URL = os.environ["S3_URL"]


def filesystem():
    """pyarrow's own S3 client (the AWS SDK for C++)."""
    return pyarrow.fs.S3FileSystem(
        endpoint_override=URL.removeprefix("http://"), scheme="http", region=os.environ["AWS_REGION"],
        access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        allow_bucket_creation=True, allow_bucket_deletion=True,
    )


def make_bucket(name):
    filesystem().create_dir(name)


def options():
    """Storage options of object_store, as deltalake and polars take them."""
    return {
        "AWS_ENDPOINT_URL": URL, "AWS_REGION": os.environ["AWS_REGION"], "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
