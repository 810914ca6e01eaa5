"""A pytest plugin: the suite runs with its public ACLs taken out.

Many tests of other features begin by making their bucket public, which is refused here. Without that line they
still test what they are about. `scripts/conformance` runs those of `made_private` (s3-tests-expected.toml) so.
"""

import botocore.client

PUBLIC = {"public-read", "public-read-write", "authenticated-read"}
plain = botocore.client.BaseClient._make_api_call


def made_private(client, operation, parameters):
    if parameters.get("ACL") in PUBLIC:
        parameters = parameters | {"ACL": "private"}
    return plain(client, operation, parameters)


botocore.client.BaseClient._make_api_call = made_private
