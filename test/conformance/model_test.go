package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/test/harness"
)

// M is a JSON object.
type M = map[string]any

// model is one API as Amazon describes it.
type model struct {
	Service    string
	Operations map[string]*operation
	Shapes     map[string]*shape
}

type operation struct {
	Method, URI   string
	Status        int
	Input, Output string
	Errors        []string

	name  string // "CreateChannel"; those that both services have are "ivs TagResource" and "ivs-realtime TagResource"
	call  string // the name on the wire
	model *model
}

type shape struct {
	Type           string
	Members        map[string]*member
	Required       []string
	Min, Max       *int64
	Pattern        string
	Enum           []string
	Member         string // of a list
	Key, Value     string // of a map
	Sensitive, Box bool
}

type member struct{ Shape, Location, LocationName string }

// operations are all of both services, by name.
type operations map[string]*operation

// loadOperations reads the models.
func loadOperations(t testing.TB) operations {
	t.Helper()
	all := operations{}
	for _, file := range []string{"ivs.json", "ivs-realtime.json"} {
		b, err := os.ReadFile(filepath.Join(harness.Root(t), "internal", "api", "model", file))
		if err != nil {
			t.Fatal(err)
		}
		m := &model{}
		if err := json.Unmarshal(b, m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		m.Service = strings.TrimSuffix(file, ".json")
		for name, op := range m.Operations {
			op.name, op.call, op.model = name, name, m
			if strings.HasPrefix(op.URI, "/tags/") {
				op.name = m.Service + " " + name
			}
			all[op.name] = op
		}
	}
	if len(all) != 79 {
		t.Fatalf("the models have %d operations", len(all))
	}
	return all
}

// find returns the operation of a name and fails the test when there is none.
func (all operations) find(t testing.TB, name string) *operation {
	t.Helper()
	op := all[name]
	if op == nil {
		t.Fatalf("there is no operation %s", name)
	}
	return op
}

// sorted lists the operations by name.
func (all operations) sorted() []*operation {
	out := make([]*operation, 0, len(all))
	for _, op := range all {
		out = append(out, op)
	}
	slices.SortFunc(out, func(a, b *operation) int { return strings.Compare(a.name, b.name) })
	return out
}

// shape returns a shape of the operation's API.
func (op *operation) shape(name string) *shape {
	s := op.model.Shapes[name]
	if s == nil {
		panic(fmt.Sprintf("%s: no shape %s", op.name, name))
	}
	return s
}

// writes reports whether an operation changes anything, by its name as Amazon gives them.
func (op *operation) writes() bool {
	for _, read := range []string{"Get", "List", "BatchGet"} {
		if strings.HasPrefix(op.call, read) {
			return false
		}
	}
	return true
}
