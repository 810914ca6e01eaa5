"""A client that openapi-python-client generated (`juststorage_api`) moves bytes through the server at NATIVE_URL."""

import importlib
import io
import os
import pkgutil
import uuid

import juststorage_api
from juststorage_api import AuthenticatedClient, models
from juststorage_api.api.admin import admin_whoami
from juststorage_api.api.objects import get_object, list_objects, patch_object
from juststorage_api.api.objects_by_key import delete_object_by_key, get_object_by_key, put_object_by_key
from juststorage_api.api.uploads import complete_upload, create_upload, put_part
from juststorage_api.types import File

for module in pkgutil.walk_packages(juststorage_api.__path__, "juststorage_api."):
    importlib.import_module(module.name)

BYTES = bytes(range(256)) * 4099
SPACE, TENANT, KEY = "generated-python", "default", "docs/ä b%2F?.bin"
client = AuthenticatedClient(base_url=os.environ["NATIVE_URL"], token=os.environ["TOKEN"])


def refused(answer, status, code):
    assert isinstance(answer, models.Problem), answer
    assert (answer.status, answer.code) == (status, code), answer


def put(data, by=client, **conditions):
    return put_object_by_key.sync(SPACE, TENANT, KEY, client=by, body=File(payload=io.BytesIO(data)), **conditions)


made = put(BYTES, by=client.with_headers({"X-Meta-Owner": "me"}), if_none_match="*")
assert isinstance(made, models.ObjectBody), made
assert (made.size_bytes, made.key, made.metadata["owner"]) == (len(BYTES), KEY, "me")
assert isinstance(made.id, uuid.UUID)

listed = list_objects.sync(client=client, namespace=SPACE, tenant=TENANT, prefix="docs/", limit=10)
assert [(one.key, one.etag) for one in listed.objects] == [(KEY, made.etag)] and listed.next_cursor is None

assert get_object_by_key.sync(SPACE, TENANT, KEY, client=client).payload.read() == BYTES
part = get_object_by_key.sync_detailed(SPACE, TENANT, KEY, client=client, range_="bytes=250-260")
assert (part.status_code, part.parsed.payload.read()) == (206, BYTES[250:261])
assert get_object.sync(made.id, client=client, x_tenant=TENANT).payload.read() == BYTES

patch = models.PatchBody(metadata=models.PatchBodyMetadataType0.from_dict({"owner": None, "team": "search"}))
patched = patch_object.sync(made.id, client=client, body=patch, x_tenant=TENANT)
assert patched.metadata.additional_properties == {"team": "search"}, patched

refused(put(b"late", if_none_match="*"), 412, "precondition_failed")
assert put(b"new", if_match=made.etag).size_bytes == 3
refused(put(b"older", if_match=made.etag), 412, "precondition_failed")

wanted = models.CreateUploadBody(namespace=SPACE, tenant=TENANT, key="parts.bin")
upload = create_upload.sync(client=client, body=wanted)
sent = put_part.sync(upload.id, 1, client=client, body=File(payload=io.BytesIO(BYTES)), x_tenant=TENANT)
claim = models.CompleteBody(parts=[models.PartClaimBody(part_number=1, etag=sent.etag)])
assert complete_upload.sync(upload.id, client=client, body=claim, x_tenant=TENANT).size_bytes == len(BYTES)
assert get_object_by_key.sync(SPACE, TENANT, "parts.bin", client=client).payload.read() == BYTES

assert delete_object_by_key.sync_detailed(SPACE, TENANT, KEY, client=client).status_code == 204
refused(get_object_by_key.sync(SPACE, TENANT, KEY, client=client), 404, "object_not_found")
refused(list_objects.sync(client=client, namespace="UPPER", tenant=TENANT), 400, "invalid_namespace")
stranger = AuthenticatedClient(base_url=os.environ["NATIVE_URL"], token="nothing")
refused(list_objects.sync(client=stranger, namespace=SPACE, tenant=TENANT), 401, "unauthenticated")
assert admin_whoami.sync(client=client).tenant == TENANT
print("python: bytes went both ways")
