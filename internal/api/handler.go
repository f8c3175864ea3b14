package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/api/sigv4"
)

// Handler serves the operations over HTTP. Its fields are set before the first request.
type Handler struct {
	Operations []Operation // of all services; see the Operations functions of ivs and ivsrealtime
	Keys       sigv4.Keys  // who may call
	// Permit is asked before an operation reads its input; its error is the answer. Everything is permitted when nil.
	Permit func(who sigv4.Identity, op Operation) error
	Log    *slog.Logger     // slog.Default when nil
	Now    func() time.Time // wall clock; time.Now when nil

	once     sync.Once
	routes   routes
	verifier sigv4.Verifier
}

func (h *Handler) init() {
	if h.Now == nil {
		h.Now = time.Now
	}
	if h.Log == nil {
		h.Log = slog.Default()
	}
	h.Log = h.Log.With("component", "api")
	h.routes = newRoutes(h.Operations)
	h.verifier = sigv4.Verifier{Keys: h.Keys, Services: services, Now: h.Now}
}

// Match reports whether a request is for the API: a method that an operation could have, on one
// segment that starts with an upper-case letter, anything below /tags/, or anything that is signed for
// another AWS service, which the API refuses.
func (h *Handler) Match(r *http.Request) bool {
	if matchPath(r.Method, r.URL.EscapedPath()) {
		return true
	}
	_, other := otherService(r)
	return other
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.init)
	id := newRequestID()
	setCommonHeaders(w.Header(), id)
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	if service, other := otherService(r); other {
		h.Log.Debug("request for another service", "request", id, "service", service)
		refuseOther(w, r, service, id)
		return
	}
	start := time.Now()
	c := &call{r: r}
	output, err := h.run(c)
	room := bodies.Get().(*[]byte)
	body := (*room)[:0]
	status, code := c.op.Status, ""
	if err != nil {
		answer := h.answer(r.Context(), c, id, err)
		status, code = answer.Status, answer.Code
		body = appendError(body, answer)
		w.Header().Set("X-Amzn-Errortype", answer.Code)
		// Of the clock that signatures are judged by: an SDK whose own is wrong learns the right one.
		w.Header().Set("Date", h.Now().UTC().Format(http.TimeFormat))
	} else if output != nil {
		body = output.AppendJSON(body)
	} else {
		body = append(body, "{}"...)
	}
	*room = body
	if status != http.StatusNoContent {
		w.Header().Set("Content-Type", "application/json")
		if len(body) > counted {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		if _, err := w.Write(body); err != nil {
			h.Log.Debug("answer not delivered", "request", id, "err", err)
		} else {
			bodies.Put(room) // not after an error: HTTP/2 may still be reading it
		}
	}
	if !h.Log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	h.Log.Debug("request", "request", id, "operation", c.op.Name, "key", c.who.AccessKeyID,
		"status", status, "code", code, "duration", time.Since(start))
}

// bodies are the *[]byte of earlier answers, to be written over: a page of a list takes 40 KB.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// counted is the length of a body for which net/http sets Content-Length itself, in bytes.
const counted = 2048

// call is a request on its way; run fills in what it finds out.
type call struct {
	r   *http.Request
	who sigv4.Identity
	op  Operation
}

// run takes a request through the checks and the operation. A panic becomes an error.
func (h *Handler) run(c *call) (output Output, err error) {
	defer func() {
		if p := recover(); p != nil {
			output, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	var body []byte
	if c.who, body, err = h.verifier.Verify(c.r); err != nil {
		var refusal *sigv4.Error
		if errors.As(err, &refusal) {
			return nil, &Error{Code: refusal.Code, Status: refusal.Status, Message: refusal.Message}
		}
		return nil, SerializationException("the request body could not be read")
	}
	op, label, err := h.routes.find(c.r.Method, c.r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	c.op = op
	if h.Permit != nil {
		if err := h.Permit(c.who, op); err != nil {
			return nil, err
		}
	}
	in := op.New()
	if err := decode(body, in); err != nil {
		return nil, err
	}
	if op.bind != nil {
		op.bind(in, label, c.r.URL.Query())
	}
	if err := in.Validate(); err != nil {
		return nil, err
	}
	return op.Call(c.r.Context(), in)
}

// answer is what a client is told about an error; what it is not told goes to the log.
func (h *Handler) answer(ctx context.Context, c *call, id string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		h.Log.Debug("client went away", "request", id, "operation", c.op.Name, "err", err)
	} else {
		h.Log.Error("operation failed", "request", id, "operation", c.op.Name, "err", err)
	}
	return InternalServerException("The server failed on this request. Its log has the reason under request %s.", id)
}

// appendError writes the text twice: SDKs built on the model read exceptionMessage, botocore message.
func appendError(b []byte, e *Error) []byte {
	b = append(b, '{')
	b = StringMember(b, `"exceptionMessage":`, &e.Message)
	b = StringMember(b, `"message":`, &e.Message)
	return EndObject(b)
}
