// What all C files of this package share: status codes and limits.
#pragma once

enum {
	FL_NONE = 0,       // fine, nothing to return yet
	FL_OK = 1,         // fine, something was returned
	FL_DAMAGED = -1,   // the input does not decode
	FL_TOO_LARGE = -2, // a side above FL_MAX_SIDE
	FL_NO_MEMORY = -3,
	FL_INVALID = -4, // the caller's mistake
};

#define FL_MAX_SIDE 4096

// fl_init silences the libraries' own logging; errors reach the caller as return values.
void fl_init(void);
