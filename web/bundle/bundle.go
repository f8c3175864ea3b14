// Package bundle turns the sources in web/ into the files that the server embeds:
// pages at the top, under assets/ scripts, styles and pictures named by their content, and under sdk/ the stage client
// for apps.
// It needs no Node: TypeScript and CSS go through esbuild's Go package.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"text/template"

	"github.com/evanw/esbuild/pkg/api"
)

// assets maps each asset's plain name to its source under web/.
var assets = map[string]string{
	"compositions.js": "src/compositions/main.ts",
	"footlight.css":   "src/ui/footlight.css",
	"icon.svg":        "src/ui/icon.svg",
	"join.js":         "src/join/main.ts",
	"pattern.js":      "src/join/pattern.worker.ts",
	"recordings.js":   "src/recordings/main.ts",
	"start.js":        "src/start/main.ts",
	"watch.js":        "src/watch/main.ts",
}

var pages = []string{"compositions.html", "index.html", "join.html", "recordings.html", "watch.html"}

// Files builds everything from the folder that holds the sources (web). The keys of the result are
// slash-separated paths below the folder that is embedded. Equal sources give equal bytes on every machine.
func Files(web string) (map[string][]byte, error) {
	out := make(map[string][]byte)
	urls := make(map[string]string, len(assets)) // plain name to the URL that a page uses
	for name, source := range assets {
		data, err := File(web, source)
		if err != nil {
			return nil, fmt.Errorf("bundle %s: %w", source, err)
		}
		file := "assets/" + hashed(name, data)
		out[file] = data
		urls[name] = "/console/" + file
	}
	if err := addPages(out, web, urls); err != nil {
		return nil, err
	}
	sdk, err := SDK(web)
	if err != nil {
		return nil, err
	}
	for name, data := range sdk {
		out["sdk/"+name] = data
	}
	return out, addLicences(out, web)
}

// hashed puts the first 40 bits of the content's SHA-256 into a file name.
func hashed(name string, data []byte) string {
	sum := sha256.Sum256(data)
	ext := path.Ext(name)
	return name[:len(name)-len(ext)] + "-" + hex.EncodeToString(sum[:5]) + ext
}

// SDK builds the stage client for apps: stage.js, a script that sets window.IVSBroadcastClient, and stage.mjs, a module.
func SDK(web string) (map[string][]byte, error) {
	script, err := build(web, "src/sdk/global.ts", api.FormatIIFE)
	if err != nil {
		return nil, fmt.Errorf("bundle the stage client: %w", err)
	}
	module, err := build(web, "src/sdk/index.ts", api.FormatESModule)
	if err != nil {
		return nil, fmt.Errorf("bundle the stage client: %w", err)
	}
	return map[string][]byte{"stage.js": script, "stage.mjs": module}, nil
}

// File builds one source below the folder web: a script with all it imports, a style sheet, or a picture as it is.
func File(web, source string) ([]byte, error) {
	if filepath.Ext(source) == ".svg" {
		return os.ReadFile(filepath.Join(web, source))
	}
	return build(web, source, api.FormatESModule)
}

// worker is the source of the stage client's worker. Pages load the client from anywhere, but a worker only from their
// own origin: so the client brings it along as a string.
const worker = "src/sdk/sei.worker.ts"

func build(web, source string, format api.Format) ([]byte, error) {
	define := map[string]string{}
	if source != worker {
		code, err := build(web, worker, api.FormatIIFE)
		if err != nil {
			return nil, err
		}
		literal, err := json.Marshal(string(code))
		if err != nil {
			return nil, err
		}
		define["SEI_WORKER"] = string(literal)
	}
	web, err := filepath.Abs(web)
	if err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:     web,
		EntryPoints:       []string{source},
		Outdir:            filepath.Join(web, "out"), // names the output only: nothing is written
		Alias:             map[string]string{"hls.js": "./vendor/hls.min.js"},
		TsconfigRaw:       "{}",
		Bundle:            true,
		Define:            define,
		Format:            format,
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		LegalComments:     api.LegalCommentsNone,
	})
	if len(result.Errors) > 0 {
		var errs []error
		for _, m := range api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage}) {
			errs = append(errs, errors.New(m))
		}
		return nil, errors.Join(errs...)
	}
	return result.OutputFiles[0].Contents, nil
}

func addPages(out map[string][]byte, web string, urls map[string]string) error {
	parts := template.New("").Funcs(template.FuncMap{
		"asset": func(name string) (string, error) {
			if url, ok := urls[name]; ok {
				return url, nil
			}
			return "", fmt.Errorf("no asset %q", name)
		},
	})
	parts, err := parts.ParseGlob(filepath.Join(web, "src/pages/*.html"))
	if err != nil {
		return fmt.Errorf("bundle pages: %w", err)
	}
	for _, page := range pages {
		var b bytes.Buffer
		if err := parts.ExecuteTemplate(&b, page, nil); err != nil {
			return fmt.Errorf("bundle %s: %w", page, err)
		}
		out[page] = b.Bytes()
	}
	return nil
}

// addLicences puts what the scripts contain of others beside them.
func addLicences(out map[string][]byte, web string) error {
	hls, err := os.ReadFile(filepath.Join(web, "vendor/hls.LICENSE"))
	if err != nil {
		return fmt.Errorf("bundle licences: %w", err)
	}
	out["licenses.txt"] = append([]byte("The pages watch, compositions and recordings contain hls.js (https://github.com/video-dev/hls.js):\n\n"), hls...)
	return nil
}
