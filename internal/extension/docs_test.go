package extension

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/composition"
)

const document = "../../docs/footlight-api.md"

func readDocument(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks are the code blocks of a language.
func blocks(text, language string) (all []string) {
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func withEvents(h *Handler) {
	h.Events = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}\n")) })
}

func TestRoutesAreDocumented(t *testing.T) {
	h := newHouse(t, withEvents)
	var list struct{ Routes []Route }
	h.must("GET", Root, "", &list)
	var built, documented []string
	for _, r := range list.Routes {
		if r.Path != Root { // the list itself has no heading
			built = append(built, r.Method+" "+r.Path)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### ([A-Z]+ /footlight/\S+)$`).FindAllStringSubmatch(readDocument(t), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(built)
	slices.Sort(documented)
	if !slices.Equal(built, documented) {
		t.Errorf("built:\n%s\n\ndocumented:\n%s", strings.Join(built, "\n"), strings.Join(documented, "\n"))
	}
}

func TestDocumentedAnswersAreJSON(t *testing.T) {
	for _, block := range blocks(readDocument(t), "json") {
		if !json.Valid([]byte(block)) {
			t.Errorf("no JSON:\n%s", block)
		}
	}
}

// The documented members of a composition are those that exist.
func TestDocumentedComposition(t *testing.T) {
	read := 0
	for _, block := range blocks(readDocument(t), "json") {
		var err error
		switch {
		case strings.Contains(block, `"measurements"`):
			err = decode([]byte(block), new(Details))
		case strings.Contains(block, `"capacity"`):
			err = decode([]byte(block), new(Program))
		default:
			continue
		}
		read++
		if err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
	if read != 2 {
		t.Errorf("%d examples of compositions", read)
	}
}

// The commands run as they stand, one shell for all.
func TestDocumentedCommands(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s", program)
		}
	}
	h := newHouse(t, withEvents)
	h.play(testID, composition.Active)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "logo.png"), picture(t, 320, 120), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.Join(blocks(readDocument(t), "sh"), "\n")
	before := "eval \"$(bin/footlight env --data-dir data)\"\n"
	if !strings.Contains(script, before) {
		t.Fatalf("the commands do not begin with %s", before)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euxc", strings.Replace(script, before, "", 1))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+h.web.URL, "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret,
		"COMPOSITION=arn:aws:ivs:us-east-1:000000000000:composition/"+testID)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"copy.png", "preview.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
