package layout

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables in testdata anew")

// Every place of every layout for 0 to 12 participants on canvases of all kinds, as one table to read and to
// compare with.
func TestTables(t *testing.T) {
	canvases := []Size{{1280, 720}, {1920, 1080}, {1080, 1920}, {640, 480}, {854, 480}, {1000, 300}, {360, 360}, {64, 36}, {16, 16}, {2, 2}}
	for name, cfg := range map[string]Config{
		"grid-video":    Default(),
		"grid-auto":     {Gap: 2, Aspect: Auto},
		"grid-square":   {Gap: 2, Aspect: Square},
		"grid-portrait": {Gap: 2, Aspect: Portrait},
		"grid-featured": {Gap: 2, FeaturedAttribute: "star"},
		"grid-gap":      {Gap: 21},
		"pip":           {Kind: PIP, PIPAttribute: "window"},
		"pip-featured":  {Kind: PIP, PIPAttribute: "window", FeaturedAttribute: "star", Gap: 8, PIPOffset: 16, PIPPosition: TopLeft},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, canvas := range canvases {
				for n := range 13 {
					ps := people(n)
					for i := range ps {
						switch i {
						case 0:
							ps[i] = with(ps[i], "window", "true")
						case 1:
							ps[i] = with(ps[i], "star", "true")
						}
					}
					fmt.Fprintf(&b, "%dx%d %2d:", canvas.W, canvas.H, n)
					for _, tile := range Compute(cfg, canvas, ps) {
						fmt.Fprintf(&b, " %s %dx%d+%d+%d", tile.ParticipantID, tile.Rect.W, tile.Rect.H, tile.Rect.X, tile.Rect.Y)
					}
					b.WriteByte('\n')
				}
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (write it with -update)", err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
