// Package api is the wire of the IVS and IVS Real-Time APIs: restJson1 over HTTP, signed by
// AWS Signature Version 4.
//
// What a caller may rely on:
//   - a Service method sees only requests whose signature is right and whose members satisfy the
//     model, and it never sees another request's body;
//   - every answer carries x-amzn-RequestId, and every error x-amzn-ErrorType with the same text
//     in message and exceptionMessage, so that all SDKs decode it to their typed error;
//   - the order of checks is signature, operation, JSON, validation, then the service's own;
//   - an error that is not an *Error, and a panic, become InternalServerException; the detail goes
//     to the log only.
//
// The packages ivs and ivsrealtime are generated from model/*.json by gen. Facts that the models
// do not state come from spec/api-conventions.md.
package api

//go:generate go run ./gen
