// Command footlight-composer mixes one stage into one picture and one sound.
// The server starts one for each composition; see package composer.
package main

import (
	"fmt"
	"os"

	"github.com/footlight-live/footlight/internal/composer"
)

const help = `footlight-composer mixes everyone on a Footlight stage into one picture and one sound.

"footlight serve" starts one of these for each composition and tells it over an inherited socket
what to do; it takes no arguments and is not started by hand. It must lie beside the footlight
program, or be named by "footlight serve --composer FILE".
`

func main() {
	if len(os.Args) > 1 {
		out, code := os.Stderr, 2
		if os.Args[1] == "--help" || os.Args[1] == "-h" {
			out, code = os.Stdout, 0
		}
		fmt.Fprint(out, help)
		os.Exit(code)
	}
	if err := composer.Process(); err != nil {
		fmt.Fprintln(os.Stderr, "footlight-composer:", err)
		os.Exit(1)
	}
}
