package conformance

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/test/harness"
)

//go:generate go test . -run ^TestConformance$ -update

var (
	update = flag.Bool("update", false, "write the tables of docs/compatibility.md anew")
	adopt  = flag.Bool("adopt", false, "take the texts of the tables of docs/compatibility.md into notes.json")
)

// note is what is said of an operation: whether it is built, and what one should know.
type note struct {
	State string `json:"state"`
	Know  string `json:"know,omitempty"`
}

// headings are those of the tables, by service.
var headings = map[string]string{"ivs": "### Amazon IVS", "ivs-realtime": "### Amazon IVS Real-Time"}

const notesFile = "notes.json"

// TestAdopt moves texts from the tables into notes.json, when asked to.
func TestAdopt(t *testing.T) {
	if !*adopt {
		t.Skip("only with -adopt")
	}
	text := compatibility(t)
	notes := map[string]note{}
	for _, op := range loadOperations(t).sorted() {
		for line := range strings.Lines(table(t, text, headings[op.model.Service])) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
			if len(cells) > 2 && strings.Trim(cells[0], " `") == op.call {
				notes[op.name] = note{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[len(cells)-1])}
			}
		}
		if notes[op.name].State == "" {
			t.Errorf("the tables have no row of %s", op.name)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(notes); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(notesFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compatibility(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table is what lies below a heading, up to the next.
func table(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/compatibility.md has no heading %q", heading)
	}
	below, _, _ := strings.Cut(rest, "\n#")
	return below
}

// documentation compares the tables of docs/compatibility.md with what the SDKs have just shown, or writes them.
// It needs a whole run with both.
func documentation(t *testing.T, all operations, b *book) {
	if len(b.facts) < 2 || flag.Lookup("test.run").Value.String() != "" && !strings.HasPrefix(flag.Lookup("test.run").Value.String(), "^TestConformance") && flag.Lookup("test.run").Value.String() != "TestConformance" {
		t.Skip("not everything ran")
	}
	raw, err := os.ReadFile(notesFile)
	if err != nil {
		t.Fatal(err)
	}
	notes := map[string]note{}
	if err := json.Unmarshal(raw, &notes); err != nil {
		t.Fatalf("%s: %v", notesFile, err)
	}
	text := compatibility(t)
	want := text
	for service, heading := range headings {
		var rows strings.Builder
		rows.WriteString("\n| operation | state | what both SDKs show | what to know |\n|---|---|---|---|\n")
		for _, op := range all.sorted() {
			if op.model.Service != service {
				continue
			}
			n := notes[op.name]
			shown := b.summary(op)
			if n.State != "built" {
				shown = ""
			}
			rows.WriteString(row("`"+op.call+"`", n.State, shown, n.Know))
		}
		want = strings.Replace(want, heading+"\n"+table(t, text, heading), heading+"\n"+rows.String(), 1)
	}
	if want == text {
		return
	}
	if !*update {
		t.Error("docs/compatibility.md does not say what was shown: go test ./test/conformance -run TestConformance -update")
		return
	}
	if err := os.WriteFile(filepath.Join(harness.Root(t), "docs", "compatibility.md"), []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// row is a line of a table; an empty cell at the end is one space.
func row(cells ...string) string {
	var out strings.Builder
	for _, cell := range cells {
		out.WriteString("| " + cell)
		if cell != "" {
			out.WriteString(" ")
		}
	}
	return out.String() + "|\n"
}

// summary says what was shown of an operation: the checks, the number of limits, the errors.
func (b *book) summary(op *operation) string {
	var out []string
	for _, what := range []string{"effect", "defaults", "round trip", "pages", "tags"} {
		if b.shown(op.name, what) {
			out = append(out, what)
		}
	}
	if n := b.tried[op.name]; n > 0 && b.shown(op.name, "limits") {
		out = append(out, fmt.Sprintf("%d limits", n))
	}
	var codes []string
	for code, status := range statuses {
		if b.shown(op.name, "error "+code) {
			codes = append(codes, fmt.Sprint(status))
		}
	}
	slices.Sort(codes)
	if codes = slices.Compact(codes); len(codes) > 0 {
		out = append(out, strings.Join(codes, " "))
	}
	return strings.Join(out, ", ")
}
