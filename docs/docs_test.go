// Package docs_test keeps the documentation true: what it lists is compared with the code.
package docs_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/control"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// section is the text below a heading, up to the next heading of any level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("there is no heading %q", heading)
	}
	below, _, _ := strings.Cut(rest, "\n#")
	return below
}

// rows are the table rows of a text, by the code in their first column, without their head.
func rows(t *testing.T, text string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		name, _, _ := strings.Cut(strings.Trim(cells[0], "`"), " ")
		name = strings.TrimSuffix(name, "`")
		if out[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		out[name] = cells
	}
	return out
}

func same(t *testing.T, what string, documented, built []string) {
	t.Helper()
	for _, name := range documented {
		if !slices.Contains(built, name) {
			t.Errorf("%s: %s is documented and does not exist", what, name)
		}
	}
	for _, name := range built {
		if !slices.Contains(documented, name) {
			t.Errorf("%s: %s exists and is not documented", what, name)
		}
	}
}

// flagsOf reads the flags of a struct from its fields' tags, as kong does: name to default.
// embeds reports whether the struct takes the server's flags over.
func flagsOf(t *testing.T, file, name string) (flags map[string]string, embeds bool) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	flags = map[string]string{}
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if len(field.Names) == 0 {
				embeds = embeds || field.Type.(*ast.SelectorExpr).Sel.Name == "Config"
				continue
			}
			if field.Tag == nil {
				continue
			}
			tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			flag := tag.Get("name")
			if flag == "" {
				flag = dashed(field.Names[0].Name)
			}
			flags["--"+flag] = tag.Get("default")
		}
		return false
	})
	if len(flags) == 0 && !embeds {
		t.Fatalf("%s has no flags in %s", name, file)
	}
	return flags, embeds
}

var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// dashed is the name of a flag whose field names none.
func dashed(field string) string {
	return strings.ToLower(wordStart.ReplaceAllString(field, "$1-$2"))
}

func TestEveryFlagIsDocumented(t *testing.T) {
	text := read(t, "configuration.md")
	for _, c := range []struct{ heading, file, name string }{
		{"## The server: `serve` and `demo`", "../internal/server/config.go", "Config"},
		{"## Logging: `serve` only", "../cmd/footlight/commands.go", "serveCommand"},
		{"## `env`", "../cmd/footlight/commands.go", "envCommand"},
		{"## `events`", "../cmd/footlight/events.go", "eventsCommand"},
		{"### `keys create`", "../cmd/footlight/keys.go", "keysCreateCommand"},
		{"### `keys list`", "../cmd/footlight/keys.go", "keysListCommand"},
	} {
		flags, _ := flagsOf(t, c.file, c.name)
		table := rows(t, section(t, text, c.heading))
		same(t, c.heading, slices.Sorted(maps.Keys(table)), slices.Sorted(maps.Keys(flags)))
		for flag, def := range flags {
			if cells := table[flag]; def != "" && len(cells) > 1 && cells[1] != "`"+def+"`" {
				t.Errorf("%s %s: the default is `%s`, the document says %s", c.heading, flag, def, cells[1])
			}
		}
	}
	for _, name := range []string{"serveCommand", "demoCommand"} {
		if _, embeds := flagsOf(t, "../cmd/footlight/commands.go", name); !embeds {
			t.Errorf("%s does not have the flags of the server", name)
		}
	}
	if flags, _ := flagsOf(t, "../cmd/footlight/commands.go", "demoCommand"); len(flags) > 0 {
		t.Errorf("demo has flags of its own, which the document does not list: %v", flags)
	}
}

func TestEveryMetricIsDocumented(t *testing.T) {
	var built []string
	source := read(t, "../internal/server/metrics.go") + read(t, "../internal/server/compositionmetrics.go")
	for _, m := range regexp.MustCompile(`\b(gauge|counter)\("([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		built = append(built, "footlight_"+m[2])
	}
	if len(built) == 0 {
		t.Fatal("no metrics found in the source")
	}
	same(t, "metrics", slices.Sorted(maps.Keys(rows(t, section(t, read(t, "operations.md"), "### Metrics")))), built)
}

// isBuilt calls an operation of a Control without a store. What is not built says so before it looks at
// anything; what is built looks, and fails.
func isBuilt(op api.Operation) (built bool) {
	defer func() {
		if recover() != nil {
			built = true
		}
	}()
	_, err := op.Call(context.Background(), op.New())
	refusal, ok := errors.AsType[*api.Error](err)
	return !ok || refusal.Message != api.NotBuilt(op.Name).Message
}

func TestOperationsTable(t *testing.T) {
	c := &control.Control{}
	text := read(t, "compatibility.md")
	total, built := 0, 0
	for heading, operations := range map[string][]api.Operation{
		"### Amazon IVS":           ivs.Operations(c.IVS()),
		"### Amazon IVS Real-Time": ivsrealtime.Operations(c.RealTime()),
	} {
		table := rows(t, section(t, text, heading))
		var names []string
		for _, op := range operations {
			total++
			names = append(names, op.Name)
			want := "not built yet"
			if isBuilt(op) {
				want = "built"
				built++
			}
			if cells := table[op.Name]; len(cells) > 1 && cells[1] != want {
				t.Errorf("%s %s: the document says %q, the code %q", heading, op.Name, cells[1], want)
			}
		}
		same(t, heading, slices.Sorted(maps.Keys(table)), names)
	}
	if total != 79 || built != total {
		t.Errorf("%d of %d operations are built, want 79 of 79, as the documents say", built, total)
	}
}

// TestReadmeNamesEveryDocument: what the front page does not name, nobody finds.
func TestReadmeNamesEveryDocument(t *testing.T) {
	files, err := filepath.Glob("*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	text := section(t, read(t, "../README.md"), "## Documents")
	for _, file := range files {
		if !strings.Contains(text, "](docs/"+file+")") {
			t.Errorf("README.md does not name docs/%s", file)
		}
	}
}

// TestLinks follows every relative link of the documents.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, file := range append(files, "../README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s leads to %s, which does not exist", file, m[1])
			}
		}
	}
}
