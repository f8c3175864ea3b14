package docs_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
)

//go:generate go test . -run TestLayoutsAreAsDocumented -update

var update = flag.Bool("update", false, "draw the pictures of layouts.md anew")

var (
	previewCommand = regexp.MustCompile(`(?m)^footlight layout preview (?:.*\\\n)*.*--out (docs/images/\S+\.png)$`)
	pictureLink    = regexp.MustCompile(`\]\((images/[^)]*)\)`)
	layoutFlag     = regexp.MustCompile(`--layout '([^']*)'`)
	sceneFlag      = regexp.MustCompile(`--scene (\S+)`)
	jsonBlock      = regexp.MustCompile("(?s)```json\n(.*?)```")
)

// Every picture is drawn by a command in the text, every layout and scene is one, and every example in the text is
// that of its file. With -update, the commands run.
func TestLayoutsAreAsDocumented(t *testing.T) {
	text := read(t, "layouts.md")
	if *update {
		drawPictures(t, text)
	}
	var drawn, shown []string
	for _, m := range previewCommand.FindAllStringSubmatch(text, -1) {
		drawn = append(drawn, strings.TrimPrefix(m[1], "docs/"))
		for _, l := range layoutFlag.FindAllStringSubmatch(m[0], -1) {
			if _, err := layout.ParseConfig([]byte(l[1])); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
		for _, s := range sceneFlag.FindAllStringSubmatch(m[0], -1) {
			if _, err := scene.Parse([]byte(read(t, filepath.Join("..", s[1])))); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
	}
	for _, m := range pictureLink.FindAllStringSubmatch(text, -1) {
		shown = append(shown, m[1])
	}
	slices.Sort(drawn)
	slices.Sort(shown)
	same(t, "pictures", shown, drawn)
	for _, name := range shown {
		if info, err := os.Stat(name); err != nil {
			t.Errorf("%v (draw it with -update)", err)
		} else if info.Size() > 60<<10 {
			t.Errorf("%s has %d bytes, more than a page should load", name, info.Size())
		}
	}
	files, err := filepath.Glob("examples/scene-*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	var examples []string
	for _, f := range files {
		examples = append(examples, strings.TrimSpace(read(t, f)))
	}
	for _, m := range jsonBlock.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(examples, strings.TrimSpace(m[1])) {
			t.Errorf("an example is not that of a file:\n%s", m[1])
		}
	}
}

// drawPictures runs the commands of the text in the root of the repository.
func drawPictures(t *testing.T, text string) {
	t.Helper()
	bin := t.TempDir()
	for _, program := range []string{"footlight", "footlight-composer"} {
		if out, err := exec.Command("go", "build", "-o", bin+"/"+program, "../cmd/"+program).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v: %s", program, err, out)
		}
	}
	for _, m := range previewCommand.FindAllString(text, -1) {
		cmd := exec.Command("sh", "-c", m)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", m, err, out)
		}
	}
}
