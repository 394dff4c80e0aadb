// Calls a collector with the types that were generated; the last line is what it learned.

import createClient from "openapi-fetch";
import type { components, paths } from "./lazymesh.js";

declare const process: { argv: string[] };

const [ingest, admin] = process.argv
  .slice(2)
  .map((address) => createClient<paths>({ baseUrl: `http://${address}` }));
const source = { namespace: "shop", workload: "web" };

type Answer = components["schemas"]["ResolveResponse"];

async function ask(authority: string): Promise<Answer> {
  const body = { source, protocol: "http" as const, authority };
  const { data, error } = await ingest.POST("/v1/resolve", { body });
  if (!data) throw new Error(error.detail);
  return data;
}

function expect(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(JSON.stringify(what));
}

const held = await ask("reviews:80");
// Only a decision to hold has a cluster: the compiler knows.
expect(held.decision === "hold" && held.cluster.startsWith("outbound|80|") && held.ttl_ms > 0, held);
const outside = await ask("api.example.com");
expect(outside.decision === "passthrough" && outside.reason === "external", outside);
const refused = await ask("").catch((error: Error) => error.message);
expect(typeof refused === "string", refused);

const path = { namespace: "shop", name: "web" };
const web = await admin.GET("/v1/workloads/{namespace}/{name}", { params: { path } });
expect(web.data?.dependencies === 1 && web.data.sidecar.name === "lazymesh-web", web);
const needed = await admin.GET("/v1/workloads/{namespace}/{name}/dependencies", {
  params: { path, query: { limit: 1 } },
});
const external = await admin.GET("/v1/external-hosts");
const hosts = [...needed.data!.items, ...external.data!.items].map((item) => item.host);
console.log(hosts.join(" "));
