"""Both OpenAPI documents, as they are served, are valid by the schema of their own version."""

import json
import os
import urllib.request

from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

for path, version, validator in (
    ("openapi.json", "3.1.0", OpenAPIV31SpecValidator),
    ("openapi-3.0.json", "3.0.3", OpenAPIV30SpecValidator),
):
    with urllib.request.urlopen(f"{os.environ['NATIVE_URL']}/v1/{path}") as answer:
        document = json.load(answer)
    assert document["openapi"] == version, document["openapi"]
    assert len(document["paths"]) > 30
    errors = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator(document).iter_errors()]
    assert not errors, errors
    # The validator finds what is wrong.
    document["paths"]["/health"]["get"]["responses"]["200"] = {"content": {}}
    assert list(validator(document).iter_errors()), f"{version}: a response without description passed"
