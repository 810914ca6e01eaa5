"""DuckDB: Parquet written and read over httpfs, with globs, projections and Hive partitions."""

import os
import urllib.parse

import boto_free
import duckdb
import duckdb_extension_httpfs  # noqa: F401  the extension, from the registry of Python packages

from duckdb_extensions import import_extension

import_extension("httpfs")
boto_free.make_bucket("duck")
url = urllib.parse.urlsplit(os.environ["S3_URL"])
db = duckdb.connect()
db.execute("LOAD httpfs")
db.execute(
    f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}', SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}',
    ENDPOINT '{url.netloc}', URL_STYLE 'path', USE_SSL false, REGION '{os.environ["AWS_REGION"]}')"""
)
db.execute("COPY (SELECT n, n % 3 AS part, md5(n::VARCHAR) AS text FROM range(600000) t(n)) TO 's3://duck/one.parquet'")
assert db.sql("SELECT count(*), sum(n) FROM 's3://duck/one.parquet'").fetchone() == (600_000, 179_999_700_000)
db.execute(
    "COPY (SELECT * FROM 's3://duck/one.parquet') TO 's3://duck/parts' (FORMAT parquet, PARTITION_BY (part))"
)
counted = db.sql(
    "SELECT part, count(*) FROM read_parquet('s3://duck/parts/*/*.parquet', hive_partitioning = true) GROUP BY 1 ORDER BY 1"
).fetchall()
assert counted == [(0, 200_000), (1, 200_000), (2, 200_000)], counted
assert db.sql("SELECT text = md5('599999') FROM 's3://duck/one.parquet' WHERE n = 599999").fetchone() == (True,)
