// Package store keeps every resource as a JSON record in NATS JetStream key-value buckets.
//
// Guarantees, whether the NATS server runs inside this process or elsewhere:
//   - A write that returned nil is on disk: the embedded server syncs each one, so kill -9 loses nothing.
//   - A Get that starts after a write returned sees that write or a later one.
//   - Update and Delete are compare-and-set: of two that race, one starts again from the other's result.
//   - Create of one key succeeds once, however many race.
//
// There are no transactions over several keys. Callers order their writes so that a crash in between leaves
// something harmless that they sweep at the next start.
//
// A [Store] owns the connection and, when embedded, the server and the lock on its directory. A [Bucket] is a
// typed view of one JetStream bucket; it holds no state and may be used from any goroutine.
package store
