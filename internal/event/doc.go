// Package event tells what happens to resources, in the form in which Amazon EventBridge would (spec/composition.md
// §3, spec/realtime.md, spec/lowlatency.md).
//
// Guarantees: an event that Publish has taken is on disk, once, and is read in the order of publishing for 30 days;
// its id stays the same wherever it is seen. Whoever reads is told of everything, and may be told twice: of each
// resource in order. A receiver that is away, slow or broken holds up nobody else, and gets everything when it is
// back, also after a restart of this server.
//
// Events leave in three ways: Handler serves them as lines of JSON, webhooks get each as a signed POST, and on NATS
// they are the messages of footlight.events.<service>.<resource type>.<resource id>.
package event
