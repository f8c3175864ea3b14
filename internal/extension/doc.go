// Package extension serves Footlight's own HTTP API, below /footlight/v1/: what the IVS APIs cannot say. It shows
// what compositions measure, changes how they look while they run, keeps scenes and images, and draws previews.
//
// Guarantees:
//   - Every request proves an access key, by SigV4 or, where nobody else can listen, by HTTP Basic.
//   - Bodies are bounded before they are read. Members that a request does not have are refused, by name.
//   - Every answer that is no success is JSON, {"error": "…", "code": "…"}, and has changed nothing.
//   - A browser that knows the key can be led to nothing by another site: what changes something is a PUT or a
//     DELETE, and a POST must be application/json, which browsers send to no other site unasked.
//
// The routes are documented in docs/footlight-api.md.
package extension
