"""Apache Libcloud, which sends `?Version=2006-03-01` with many requests."""

import io
import os
import urllib.parse

from libcloud.storage.providers import get_driver
from libcloud.storage.types import ContainerDoesNotExistError, ObjectDoesNotExistError, Provider

url = urllib.parse.urlsplit(os.environ["S3_URL"])
driver = get_driver(Provider.S3)(
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], secure=False, host=url.hostname, port=url.port,
    region=os.environ["AWS_REGION"],
)
container = driver.create_container("libcloud")
assert [found.name for found in driver.list_containers()] == ["libcloud"]
large = os.urandom(12_000_000)
container.upload_object_via_stream(io.BytesIO(large), "dir/large bin")
with open("small", "wb") as file:
    file.write(b"hello")
container.upload_object("small", "dir/small+plus", extra={"meta_data": {"from": "libcloud"}})
assert sorted(found.name for found in container.list_objects(prefix="dir/")) == ["dir/large bin", "dir/small+plus"]
small = driver.get_object("libcloud", "dir/small+plus")
assert small.size == 5 and small.meta_data == {"from": "libcloud"}, vars(small)
assert b"".join(driver.get_object("libcloud", "dir/large bin").as_stream()) == large
assert b"".join(driver.get_object("libcloud", "dir/large bin").range_as_stream(5, 15)) == large[5:15]
for missing, error in (
    (lambda: driver.get_container("libcloud-none"), ContainerDoesNotExistError),
    (lambda: driver.get_object("libcloud", "none"), ObjectDoesNotExistError),
):
    try:
        missing()
    except error:
        continue
    raise AssertionError(error)
for found in container.list_objects():
    assert found.delete()
assert container.delete()
