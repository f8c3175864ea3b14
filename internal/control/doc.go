// Package control says what each operation of the API means, and keeps the resources in the store.
//
// Guarantees:
//   - An answer of success to a write means that the write is on disk, and every later read sees it.
//   - A refused request changes nothing.
//   - What depends on a resource goes with it: a channel takes its stream key and sessions, a stage its
//     sessions, participants, events and revoked tokens. What a crash leaves of that is swept at the next start.
//   - Nothing is invented: live state is asked of the live side, history is what the live side reported.
//   - A parameter that is accepted has its effect. What is not built yet is refused in words that say so.
//
// [Control] holds no resource in memory; several requests may run at once. The records of one resource are in
// one file of this package, named after it. The live side reports to two journals, each owned by one
// goroutine, so that a slow disk never holds up a stage or a stream.
package control
