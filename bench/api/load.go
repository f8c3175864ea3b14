package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// client sends one request again and again over one connection. It does as little as possible itself, since it shares
// the processors with what is measured.
type client struct {
	conn io.ReadWriteCloser
	in   *bufio.Reader
	wire []byte
}

func dial(t target) (*client, error) {
	conn, err := net.Dial("tcp", t.address)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReaderSize(conn, 64<<10), t.wire}, nil
}

// do sends the request and reads the answer to its end. When keep is not nil it gets the body.
func (c *client) do(keep *[]byte) error {
	if _, err := c.conn.Write(c.wire); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("the answer is %s", status)
	}
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("the answer has no length")
	}
	if keep != nil {
		*keep = make([]byte, length)
		_, err = io.ReadFull(c.in, *keep)
		return err
	}
	_, err = c.in.Discard(length)
	return err
}

// speed is how much was done: by the clock, and by the processor time that this program took for it. On a machine that
// others use as well, the second is the one to compare; on a quiet one both ratios are the same.
type speed struct{ perSecond, perCPUSecond float64 }

// meter starts to measure; the function it returns says how fast n things were done.
func meter() func(n int) speed {
	start, before := time.Now(), processorTime(syscall.RUSAGE_SELF)
	return func(n int) speed {
		return speed{float64(n) / time.Since(start).Seconds(), float64(n) / (processorTime(syscall.RUSAGE_SELF) - before).Seconds()}
	}
}

// processorTime is what this process, or those that it started and that have ended, used in user and kernel mode: who as
// in getrusage(2).
func processorTime(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err) // it has no way to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// flood sends requests over n connections as fast as they are answered.
func flood(ctx context.Context, t target, n int, length time.Duration) (speed, error) {
	var total int
	var failed error
	var mu sync.Mutex
	var work sync.WaitGroup
	start, measured := time.Now(), meter()
	for range n {
		work.Go(func() {
			count, err := 0, error(nil)
			c, err := dial(t)
			if err == nil {
				defer c.conn.Close()
				for err == nil && time.Since(start) < length && ctx.Err() == nil {
					if err = c.do(nil); err == nil {
						count++
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total += count
			if err != nil {
				failed = err
			}
		})
	}
	work.Wait()
	return measured(total), errors.Join(failed, ctx.Err())
}

// median of an odd or even number of figures; the lower middle one of an even number.
func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[(len(sorted)-1)/2]
}

// compare measures two things in turns and returns the medians.
func compare(rounds int, ours, bare func() (speed, error)) (a, b speed, err error) {
	var all [4][]float64
	for range rounds {
		x, err := ours()
		if err != nil {
			return speed{}, speed{}, err
		}
		y, err := bare()
		if err != nil {
			return speed{}, speed{}, err
		}
		for i, figure := range []float64{x.perSecond, x.perCPUSecond, y.perSecond, y.perCPUSecond} {
			all[i] = append(all[i], figure)
		}
	}
	return speed{median(all[0]), median(all[1])}, speed{median(all[2]), median(all[3])}, nil
}
