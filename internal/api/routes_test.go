package api

import (
	"errors"
	"net/http"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         bool
	}{
		{"POST", "/CreateChannel", true},
		{"POST", "/NoSuchOperation", true},
		{"OPTIONS", "/CreateChannel", true},
		{"GET", "/CreateChannel", false},
		{"POST", "/", false},
		{"POST", "/whip", false},
		{"POST", "/Whip/x", false},
		{"POST", "", false},
		{"GET", "/tags/arn%3Aaws", true},
		{"DELETE", "/tags/arn%3Aaws", true},
		{"OPTIONS", "/tags/x", true},
		{"GET", "/tags", false},
		{"GET", "/tagsx", false},
	} {
		if got := matchPath(c.method, c.path); got != c.want {
			t.Errorf("%s %s: %v", c.method, c.path, got)
		}
	}
}

func TestFind(t *testing.T) {
	table := newRoutes([]Operation{
		{Service: "ivs", Name: "GetChannel", Method: "POST", Path: "/GetChannel"},
		{Service: "ivs", Name: "ivs tags", Method: "GET", Path: "/tags/{resourceArn}"},
		{Service: "ivsrealtime", Name: "realtime tags", Method: "GET", Path: "/tags/{resourceArn}"},
	})
	const prefix = "/tags/arn%3Aaws%3Aivs%3Aus-east-1%3A000000000000%3A"
	for _, c := range []struct{ method, path, want, label string }{
		{"POST", "/GetChannel", "GetChannel", ""},
		{"GET", prefix + "channel%2Fabc", "ivs tags", "arn:aws:ivs:us-east-1:000000000000:channel/abc"},
		{"GET", "/tags/arn:aws:ivs:us-east-1:000000000000:stage/abc", "realtime tags", "arn:aws:ivs:us-east-1:000000000000:stage/abc"},
		{"GET", prefix + "public-key%2Fabc", "realtime tags", "arn:aws:ivs:us-east-1:000000000000:public-key/abc"},
		{"GET", prefix + "nothing%2Fabc", "ValidationException", ""},
		{"GET", "/tags/", "ValidationException", ""},
		{"GET", "/tags/%zz", "ValidationException", ""},
		{"GET", "/tags/arn%3Aaws%3As3%3A%3A%3Abucket", "ValidationException", ""},
		{"PUT", prefix + "channel%2Fabc", "UnknownOperationException", ""},
		{"GET", "/GetChannel", "UnknownOperationException", ""},
		{"POST", "/getchannel", "UnknownOperationException", ""},
		{"POST", "/tags/{resourceArn}", "ValidationException", ""},
	} {
		op, label, err := table.find(c.method, c.path)
		got := op.Name
		if e, ok := errors.AsType[*Error](err); ok {
			got = e.Code
			if e.Code == "UnknownOperationException" && e.Status != http.StatusNotFound {
				t.Errorf("status %d", e.Status)
			}
		}
		if got != c.want || label != c.label {
			t.Errorf("%s %s: %s, label %q", c.method, c.path, got, label)
		}
	}
}
