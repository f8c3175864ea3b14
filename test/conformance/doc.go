// Package conformance proves, for each of the 79 operations of the two APIs, that unmodified programs work.
//
// One real server runs, and every check goes through an official SDK: the AWS SDK for Go v2, then the JavaScript SDK
// v3 in a Node process that js/driver.mjs turns into a servant of the Go side. Both do the same things, since a check
// knows only the interface sdk. What one wants to know of an operation comes from three places:
//
//   - the models in internal/api/model: the limits of every member, each tried at its edge and beyond it
//     (limits_test.go), and the documented errors (errors_test.go);
//   - the table of resources (resources_test.go): defaults, round trips, pages and tags of all that can be created;
//   - scenarios with media and people, whose effect another operation, the event log or a player shows.
//
// The operations' tables of docs/compatibility.md are written from what was shown and from notes.json, the text on
// what differs from AWS and why:
//
//	go test ./test/conformance -update   writes the tables anew
//	go test ./test/conformance -adopt    takes texts that were edited in the tables over into notes.json, then -update
//
// What is not built yet answers 501, and its checks are skipped until it does not.
package conformance
