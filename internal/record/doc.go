// Package record turns live media into HLS recordings in an object store: of compositions, of participants and of
// channels, with the keys, playlists and metadata of spec/composition.md §5 and §6 and spec/lowlatency.md §7.
//
// Guarantees:
//   - What is in the spool is never lost: a file leaves it only after the object store acknowledged it, in order,
//     each playlist after its segments and the metadata of the end last, however long the store is away.
//   - kill -9 of the server, or of the machine, at any instant costs at most the media of the last partLength and
//     what had not been written yet: every part is synced to disk before the next one is begun. At the next start
//     the spool alone is enough to go on in the same prefix after a discontinuity, or to close the recording.
//   - A source never waits for disk or store. What the disk cannot take is dropped up to the next key frame,
//     counted, and shows as a discontinuity.
//   - The spool is bounded. When it is full new media gives way, never what has been recorded.
//   - The same prefix is valid at every moment: players see a growing EVENT playlist, then a VOD playlist.
//   - Renditions, the sizes of a channel's picture, have the same segments, numbers and discontinuities. One that stops, or
//     comes late, shows those of another one meanwhile, and the others do not notice.
//
// A Recorder has all recordings of a node. Each Recording has two goroutines: run owns the media and writes the spool,
// upload empties it. Renditions share these, the spool and its journal; the pictures of a source, each with a segmenter
// (segmenter.go), come to their renditions (rendition.go) by size, and cut where the grid says (grid.go). Segmenters, grid,
// playlists (playlist.go) and metadata (metadata.go) are pure.
package record
