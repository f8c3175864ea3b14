// Package doctor examines a running Footlight server from where it is called: it reaches every port, publishes,
// subscribes over each path that media can take, composes, plays back, measures, and says what to change for each failure.
//
// It makes a stage and a channel of its own and deletes them; what else is on the server is not touched.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/tryout"
)

// Doctor examines one server. Set the fields and call Run once.
type Doctor struct {
	API tryout.API
	// Composer is the composer program on this machine: the synthetic participant comes from it, and it decodes pictures and sound.
	Composer string
	Out      io.Writer
	Log      *slog.Logger // of the synthetic participant

	channel     *ivs.Channel
	stage       *ivsrealtime.Stage
	publishers  *tryout.Publishers
	composition *ivsrealtime.Composition
}

// trouble is a failure with what helps against it.
type trouble struct {
	err    error
	advice string
}

func (t *trouble) Error() string { return t.err.Error() }
func (t *trouble) Unwrap() error { return t.err }

// check is one thing to look at. What depends on a check that failed is not tried.
type check struct {
	name   string
	run    func(context.Context) (finding string, err error)
	advice string // for a failure that brings none of its own
	needed bool   // nothing behind it makes sense without
}

// stepTimeout bounds one check.
const stepTimeout = 30 * time.Second

// ErrUnhealthy says that at least one check failed; the report has been written.
var ErrUnhealthy = errors.New("not everything works: see ✗ above")

// Run examines the server and writes a line for each check, and under a failure what to do. It returns ErrUnhealthy
// when there was one.
func (d *Doctor) Run(ctx context.Context) error {
	fmt.Fprintf(d.Out, "\n  Examining %s\n\n", d.API.Endpoint)
	defer d.tidy(ctx)
	progress := tryout.NewProgress(d.Out)
	healthy := true
	for _, c := range d.checks() {
		err := progress.Find(c.name, func() (string, error) {
			ctx, cancel := context.WithTimeout(ctx, stepTimeout)
			defer cancel()
			return c.run(ctx)
		})
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		healthy = false
		advice := c.advice
		if t, ok := errors.AsType[*trouble](err); ok && t.advice != "" {
			advice = t.advice
		}
		fmt.Fprintf(d.Out, "      %v\n      → %s\n", err, advice)
		if c.needed {
			break
		}
	}
	if !healthy {
		return ErrUnhealthy
	}
	fmt.Fprint(d.Out, "\n  Everything works.\n\n")
	return nil
}

func (d *Doctor) checks() []check {
	const restart = "look at the server's log: it says why"
	udp := "open UDP port 4081 (--webrtc-addr) from here to the server; behind NAT, name the outer address with --public-ip"
	return []check{
		{name: "the server answers", run: d.answers, needed: true,
			advice: "start it with `footlight serve`, or say with --data-dir or AWS_ENDPOINT_URL which one you mean"},
		{name: "its certificate", run: d.certificate,
			advice: "give the server a certificate for this name with --tls-cert and --tls-key"},
		{name: "its clock and ours", run: d.clock,
			advice: "set both clocks by NTP: signatures are refused when they are 15 minutes apart, tokens expire by them"},
		{name: "the access key", run: d.accessKey, needed: true,
			advice: "use the key of this server: eval \"$(footlight env --data-dir DIR)\", and unset AWS_SESSION_TOKEN and AWS_PROFILE"},
		{name: "RTMPS ingest", run: d.rtmps,
			advice: "open the TCP port of --rtmps-addr (1936); name the host that encoders reach with --public-host"},
		{name: "SRT ingest", run: d.srt,
			advice: "open the UDP port of --srt-addr (9000); name the host that encoders reach with --public-host"},
		{name: "the composer program here", run: d.composer, needed: true,
			advice: "build it with `make build`, or name it with --composer; on Debian 12 scripts/setup.sh build installs its libraries"},
		{name: "publishing over WHIP", run: d.publish, needed: true, advice: udp},
		{name: "subscribing over UDP", run: d.overUDP, advice: udp},
		{name: "subscribing over TCP", run: d.overTCP, advice: "open TCP port 4081 (--webrtc-addr) from here to the server"},
		{name: "subscribing through TURN", run: d.overTURN, advice: "open the port of --turn-addr from here to the server, UDP and TCP"},
		{name: "composing to a channel", run: d.compose, needed: true, advice: restart},
		{name: "playing the channel", run: d.play, needed: true, advice: restart},
		{name: "deleting what was made", run: d.delete, advice: restart},
	}
}

// tidy ends what a run that did not come to its end has left.
func (d *Doctor) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	if _, err := d.delete(ctx); err != nil {
		fmt.Fprintf(d.Out, "      could not delete what was made for the examination: %v\n", err)
	}
}

// delete takes everything back that a run made, and may be called again.
func (d *Doctor) delete(ctx context.Context) (string, error) {
	var errs []error
	try := func(operation string, in any) {
		if err := d.API.Call(ctx, operation, in, nil); err != nil {
			errs = append(errs, err)
		}
	}
	if c := d.composition; c != nil {
		d.composition = nil
		try("StopComposition", ivsrealtime.StopCompositionRequest{Arn: c.Arn})
		errs = append(errs, tryout.Poll(ctx, 10*time.Second, func() error {
			var out ivsrealtime.GetCompositionResponse
			if err := d.API.Call(ctx, "GetComposition", ivsrealtime.GetCompositionRequest{Arn: c.Arn}, &out); err != nil {
				return err
			}
			if state := *out.Composition.State; state != ivsrealtime.CompositionStateStopped && state != ivsrealtime.CompositionStateFailed {
				return fmt.Errorf("the composition is %s", state)
			}
			return nil
		}))
	}
	if d.publishers != nil {
		d.publishers.Close()
		d.publishers = nil
	}
	if s := d.stage; s != nil {
		d.stage = nil
		try("DeleteStage", ivsrealtime.DeleteStageRequest{Arn: s.Arn})
	}
	if c := d.channel; c != nil {
		d.channel = nil
		// The stream of a composition ends a moment after it.
		errs = append(errs, tryout.Poll(ctx, 15*time.Second, func() error {
			return d.API.Call(ctx, "DeleteChannel", ivs.DeleteChannelRequest{Arn: c.Arn}, nil)
		}))
	}
	return "", errors.Join(errs...)
}
