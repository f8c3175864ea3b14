// Package composition keeps compositions alive: it starts a composer process for each, watches it, and
// starts it again when it dies, until the composition is stopped or fails.
//
// Guarantees: a composition that was created is in the store and is composed again after the end of its
// composer or of this server, kill -9 included, until it has ended; no composer outlives the server; nothing
// that a composer says or does ends anything but its composition; Stop ends within ten seconds.
//
// States and times are those of spec/composition.md §3. Each composition has one goroutine, its actor, which
// alone changes its state.
package composition
