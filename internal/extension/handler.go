package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/sigv4"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/control"
)

// Root is the path below which everything is.
const Root = "/footlight/v1/"

// Compositions are those of a node; composition.Manager is one.
type Compositions interface {
	List(context.Context) ([]composition.Record, error)
	Status(id string) (composition.Status, bool)
	// SetScene stores a composition's look and gives it to its composer. Nothing is the plain layout.
	SetScene(ctx context.Context, id string, document json.RawMessage) error
}

// Streams are the live streams of a node; channel.Server is one.
type Streams interface {
	StreamStats(channelARN string) (channel.StreamStats, bool)
}

// Handler answers below Root. Set the fields, then use it from any goroutine.
type Handler struct {
	Control      *control.Control // keeps scenes and images
	Compositions Compositions
	Streams      Streams
	Capacity     func(context.Context) (composition.Capacity, error) // nil: not shown
	Events       http.Handler                                        // answers GET /footlight/v1/events; nil: not there
	Keys         sigv4.Keys
	ReadOnly     func(accessKeyID string) bool // says which keys may only GET; nil: none
	Composer     string                        // the program that draws previews
	// RecordingLink is the path of a recording's files until a time; nil: recordings have no links. URL is the server's.
	RecordingLink func(id string, until time.Time) string
	URL           string
	Log           *slog.Logger // default: discard

	once    sync.Once
	guard   guard
	mux     *http.ServeMux
	drawing chan struct{} // one token for each preview that is being drawn
}

// Route is one operation.
type Route struct {
	Method string `json:"method"`
	Path   string `json:"path"` // with {names} for what varies
	Does   string `json:"does"`
}

// answer is what a route's function returns instead of writing it. Exactly one of value and data is set, or none
// for an empty answer.
type answer struct {
	value       any    // becomes JSON
	data        []byte // as it is
	contentType string // of data
}

type route struct {
	Route
	limit  int64 // of the body, in bytes
	answer func(*http.Request, []byte) (answer, error)
}

const (
	documentLimit = 128 << 10 // of a JSON body: a scene has half of it at most
	nothing       = 0         // the limit of requests that have no body
)

func (h *Handler) routes() []route {
	return []route{
		{Route{"GET", "", "list the routes"}, nothing, h.listRoutes},
		{Route{"GET", "compositions", "list the compositions"}, nothing, h.listCompositions},
		{Route{"GET", "compositions/{id}", "show a composition and what it measures"}, nothing, h.getComposition},
		{Route{"PUT", "compositions/{id}/scene", "change how a composition looks, while it runs"}, documentLimit, h.putCompositionScene},
		{Route{"DELETE", "compositions/{id}/scene", "go back to a composition's plain layout"}, nothing, h.deleteCompositionScene},
		{Route{"GET", "scenes", "list the scenes"}, nothing, h.listScenes},
		{Route{"GET", "scenes/{name}", "show a scene"}, nothing, h.getScene},
		{Route{"PUT", "scenes/{name}", "keep a scene under a name"}, documentLimit, h.putScene},
		{Route{"DELETE", "scenes/{name}", "forget a scene"}, nothing, h.deleteScene},
		{Route{"GET", "images", "list the images"}, nothing, h.listImages},
		{Route{"GET", "images/{name}", "read an image"}, nothing, h.getImage},
		{Route{"PUT", "images/{name}", "keep a PNG or JPEG image under a name"}, control.MaxImageSize, h.putImage},
		{Route{"DELETE", "images/{name}", "forget an image that nothing uses"}, nothing, h.deleteImage},
		{Route{"GET", "recordings", "list the recordings, with links to play them"}, nothing, h.listRecordings},
		{Route{"GET", "recordings/{id}", "show a recording, with links to play it until ?expires=SECONDS from now"}, nothing, h.getRecording},
		{Route{"POST", "preview", "draw a layout or a scene to PNG, without starting anything"}, documentLimit, h.preview},
	}
}

func (h *Handler) init() {
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	h.Log = h.Log.With("component", "extension")
	h.guard = guard{keys: h.Keys, readOnly: h.ReadOnly, verifier: sigv4.Verifier{Keys: h.Keys, MaxBody: control.MaxImageSize}}
	h.drawing = make(chan struct{}, previewsAtOnce)
	h.mux = http.NewServeMux()
	methods := map[string][]string{}
	add := func(method, path string, f http.Handler) {
		if path == "" {
			path = "{$}"
		}
		h.mux.Handle(method+" "+Root+path, f)
		methods[path] = append(methods[path], method)
	}
	for _, r := range h.routes() {
		add(r.Method, r.Path, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { h.serve(w, q, r) }))
	}
	if h.Events != nil {
		add("GET", "events", http.HandlerFunc(h.serveEvents))
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		h.mux.HandleFunc(Root+path, func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			h.fail(w, q, &api.Error{Code: "MethodNotAllowedException", Status: http.StatusMethodNotAllowed,
				Message: fmt.Sprintf("%s is not for %s, but for %s", q.URL.Path, q.Method, strings.Join(allowed, " and "))})
		})
	}
	h.mux.HandleFunc(Root, func(w http.ResponseWriter, q *http.Request) {
		h.fail(w, q, api.ResourceNotFoundException("There is nothing at %s: GET %s lists what there is", q.URL.Path, Root))
	})
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.init)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox") // images of strangers are served here
	if err := h.guard.check(r); err != nil {
		if refusal, ok := errors.AsType[*api.Error](err); ok && refusal.Status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", challenge(r))
		}
		h.fail(w, r, err)
		return
	}
	h.mux.ServeHTTP(w, r)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, route route) {
	body, err := readBody(w, r, route.limit)
	var a answer
	if err == nil {
		a, err = route.answer(r, body)
	}
	if err == nil && a.value != nil {
		a.contentType = "application/json"
		a.data, err = encode(a.value)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if a.data == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	h.write(w, http.StatusOK, a.data)
}

// serveEvents hands over to the event log's own handler, which may answer for hours.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	if err := liftDeadline(w); err != nil {
		h.Log.Debug("the time of a request cannot be extended", "error", err)
	}
	h.Events.ServeHTTP(w, r)
}

// readBody reads a body of at most limit bytes. A POST must say that it is JSON.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Method == http.MethodPost {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return nil, &api.Error{Code: "UnsupportedMediaTypeException", Status: http.StatusUnsupportedMediaType,
				Message: "The body must be JSON: send the header Content-Type: application/json"}
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		if limit == nothing {
			return nil, api.ValidationException("%s %s takes no body", r.Method, r.URL.Path)
		}
		return nil, &api.Error{Code: sigv4.CodeTooLarge, Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The body has more than %d bytes", limit)}
	}
	if err != nil {
		return nil, api.ValidationException("The body could not be read: %v", err)
	}
	return body, nil
}

// decode reads a JSON body into v. Members that v does not have are refused, and so is more than one value.
func decode(body []byte, v any) error {
	reader := json.NewDecoder(bytes.NewReader(body))
	reader.DisallowUnknownFields()
	if err := reader.Decode(v); err != nil {
		return api.ValidationException("The body is not what it should be: %v", err)
	}
	if _, err := reader.Token(); err != io.EOF {
		return api.ValidationException("The body has more than one JSON value")
	}
	return nil
}

// encode writes JSON for programs and for people with curl.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

// failure is the body of every answer that is no success.
type failure struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// fail answers with an error. What is no *api.Error is told to the log, not to the caller.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	refusal, ok := errors.AsType[*api.Error](err)
	if !ok {
		if r.Context().Err() == nil {
			h.Log.Error("operation failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		refusal = api.InternalServerException("The server failed on this request. Its log says why.")
	}
	body, _ := encode(failure{Error: refusal.Message, Code: refusal.Code}) // strings always encode
	w.Header().Set("Content-Type", "application/json")
	h.write(w, refusal.Status, body)
}

func (h *Handler) write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		h.Log.Debug("answer not delivered", "error", err)
	}
}

func (h *Handler) listRoutes(*http.Request, []byte) (answer, error) {
	var list []Route
	for _, r := range h.routes() {
		list = append(list, r.full())
	}
	if h.Events != nil {
		list = append(list, Route{"GET", "events", "read what happened, from a time on"}.full())
	}
	return answer{value: map[string]any{"routes": list}}, nil
}

func (r Route) full() Route {
	r.Path = Root + r.Path
	return r
}

// compositionARN names the composition of an id.
func (h *Handler) compositionARN(id string) string {
	return h.Control.Account.Of(arn.Composition, id).String()
}
