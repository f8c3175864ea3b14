// Package composition keeps compositions alive: it starts a composer process for each, watches it, and
// starts it again when it dies, until the composition is stopped or fails.
//
// Guarantees: a composition that was created is in the store and is composed again after the end of its
// composer or of this server, kill -9 included, until it has ended; no composer outlives the server; nothing
// that a composer says or does ends anything but its composition; Stop ends within ten seconds, or when the
// object store has the recording; a composition ends with the cause that was recorded first, whoever ends it; every change of state is told once or more, in order,
// under an id that stays the same.
//
// A composer is replaced when it ends, when it is silent for two seconds, and when it takes more memory than it may.
// Its output goes on: the destinations show RECONNECTING until the next one feeds them. When none has worked for a
// minute the composition fails.
//
// States and times are those of spec/composition.md §3. Each composition has one goroutine, its actor, which
// alone changes its state (live, and conversation while a composer runs). What has happened lies in the record until
// the event log has it (teller). A start that the machine cannot carry is refused (capacity).
package composition
