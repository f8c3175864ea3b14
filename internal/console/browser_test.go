package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take for one step on a busy machine.
const patience = 60 * time.Second

// chromium is the one browser of all page tests, started by the first that needs it.
var chromium struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

func startChromium() {
	path, err := exec.LookPath("chromium")
	if err != nil {
		chromium.err = err
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.WindowSize(1280, 800),
		chromedp.WSURLReadTimeout(time.Minute), // it starts slowly on a busy machine
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.stop = func() { stop(); stopAllocator() }
	chromium.err = chromedp.Do(ctx)
}

// page is one tab. Scripts that throw and requests that the policy blocks fail the test.
type page struct {
	t     *testing.T
	ctx   context.Context
	close func() // also called by the test's end

	mu      sync.Mutex
	console []string
}

// view is how a page is looked at.
type view struct {
	width, height int64
	phone, light  bool
}

var desktop = view{width: 1280, height: 800}

// open loads a page in a tab of its own, with storage of its own.
func open(t *testing.T, url string, v view) *page {
	t.Helper()
	if testing.Short() {
		t.Skip("page tests need a browser and some time")
	}
	chromium.once.Do(startChromium)
	if errors.Is(chromium.err, exec.ErrNotFound) {
		t.Skip("no chromium on PATH; scripts/setup.sh test installs it")
	}
	if chromium.err != nil {
		t.Fatalf("start chromium: %v", chromium.err)
	}
	ctx, stop := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	p := &page{t: t, ctx: ctx, close: stop}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	scheme := "dark"
	if v.light {
		scheme = "light"
	}
	shape := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if v.phone {
		shape = append(shape, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	p.do(
		chromedp.EmulateViewport(v.width, v.height, shape...),
		func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return chromedp.Void{}, err
		},
		chromedp.Navigate(url),
	)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, line := range p.console {
			if strings.HasPrefix(line, "exception") || strings.Contains(line, "Content Security Policy") {
				t.Errorf("the page says: %s", line)
			}
		}
	})
	return p
}

// hear keeps what the page says. It runs on the browser's goroutine.
func (p *page) hear(ev any) {
	var line string
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		line = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			line += " " + e.ExceptionDetails.Exception.Description
		}
	case *cdplog.EventEntryAdded:
		line = string(e.Entry.Level) + ": " + e.Entry.Text + " " + e.Entry.URL
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console = append(p.console, line)
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("browser: %v", err)
	}
}

// run evaluates a script as if the user had asked for it, and waits for a promise.
func (p *page) run(script string) {
	p.t.Helper()
	evaluate[any](p, script)
}

// evaluate returns the value of a script.
func evaluate[T any](p *page, script string) T {
	p.t.Helper()
	value, err := try[T](p, script)
	if err != nil {
		p.t.Fatalf("evaluate %s: %v", script, err)
	}
	return value
}

func try[T any](p *page, script string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise, gesture))
}

func gesture(e *runtime.EvaluateParams) { e.UserGesture = new(true) }

// click clicks the element with this id.
func (p *page) click(id string) {
	p.t.Helper()
	p.run(fmt.Sprintf(`document.getElementById(%q).click()`, id))
}

// await asks a script until it is true, or fails with what it is about and what the page shows. The script may await.
func (p *page) await(what, script string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		is, err := try[bool](p, "(async () => !!("+script+"))()")
		if err != nil && !strings.Contains(err.Error(), "navigated") { // the page is loading another one
			p.t.Fatalf("evaluate %s: %v", script, err)
		}
		if is {
			return
		}
		if time.Now().After(deadline) {
			text := evaluate[string](p, `document.body.innerText`)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("waited in vain until %s\npage:\n%s\nconsole:\n%s", what, text, strings.Join(p.console, "\n"))
		}
		<-ticker.C
	}
}

// awaitText waits until an element shows a text.
func (p *page) awaitText(id, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf("#%s shows %q", id, text),
		fmt.Sprintf(`((e) => e.checkVisibility() && e.innerText.includes(%q))(document.getElementById(%q))`, text, id))
}
