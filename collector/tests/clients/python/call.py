"""Calls a collector with the client that was generated; the last line is what it learned."""

import sys

from lazymesh_client import Client
from lazymesh_client.api.graph import list_dependencies, list_external_hosts, show_workload
from lazymesh_client.api.ingest import resolve
from lazymesh_client.models import (
    HoldResponse,
    PassthroughResponse,
    Problem,
    Protocol,
    ResolveRequest,
    Source,
)

ingest, admin = (Client(base_url=f"http://{address}") for address in sys.argv[1:3])
source = Source(namespace="shop", workload="web")


def ask(authority: str):
    question = ResolveRequest(source=source, protocol=Protocol.HTTP, authority=authority)
    return resolve.sync(client=ingest, body=question)


held = ask("reviews:80")
assert isinstance(held, HoldResponse) and held.host and held.ttl_ms > 0, held
outside = ask("api.example.com")
assert isinstance(outside, PassthroughResponse), outside
refused = ask("")
assert isinstance(refused, Problem) and refused.field == "authority", refused

web = show_workload.sync("shop", "web", client=admin)
assert web.dependencies == 1 and web.sidecar.name == "lazymesh-web", web
needed = list_dependencies.sync("shop", "web", client=admin, limit=1)
external = list_external_hosts.sync(client=admin)
print(*(item.host for item in needed.items + external.items))
