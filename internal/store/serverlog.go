package store

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog passes what the embedded server reports to slog. Its notices are chatter to an operator of
// Footlight, so they go to debug. It remembers the last error because the server reports a failed start
// only here.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last string
}

func (l *serverLog) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *serverLog) keep(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = text
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats server: " + fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats server: " + fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.keep(text)
	l.log.Error("nats server: " + text)
}

// Fatalf does not end the process: Open reports the failure to its caller instead.
func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

// Debugf and Tracef are never called: startEmbedded leaves both levels off.
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}
