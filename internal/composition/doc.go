// Package composition is the life of compositions in the server: their records, their states, and the
// supervision of the composer process that each has.
//
// Guarantees:
//   - A composition that was acknowledged lives until it is stopped, fails or runs out of publishers, whatever
//     dies meanwhile: a composer that crashes or hangs is replaced, and a server that starts again resumes the
//     compositions that it finds in the store.
//   - One goroutine owns each live composition and makes every change of its record; states change in one
//     function (spec/composition.md §3), which logs old, new and why.
//   - Secrets reach the composer over its inherited socket only and are never stored or logged.
package composition
