// Package transcode changes media by processes of the composer program, one for each publisher: AAC into Opus by
// "footlight-composer audio", and in package ladder, a picture into several sizes.
//
// Guarantees:
//   - The server never decodes: bytes of strangers meet C code in a process only.
//   - A process that crashes, hangs or talks nonsense is replaced; media come back and what came meanwhile is lost.
//   - The caller is never blocked: what a process cannot take in time is dropped and counted.
//   - The time of what comes out is the time of what went in: what decoders, resamplers and encoders delay is taken out.
//   - A process ends with the server, however that ends.
//
// A process reads messages (wire.go) from its standard input and writes them to its standard output; it logs to its
// standard error. What is no Config is a question that it has to answer, in its own time and order; Process watches over
// that. Their sides are packages named worker, which link C code and belong into the composer program only.
package transcode
