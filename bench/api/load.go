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
	"time"
)

// client sends one request again and again over one connection. It does as little as possible itself, since it shares
// the processors with what is measured.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	wire []byte
}

func dial(address string, wire []byte) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReaderSize(conn, 64<<10), wire}, nil
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

// flood sends requests over n connections as fast as they are answered, and returns how many were answered a second.
func flood(ctx context.Context, address string, wire []byte, n int, length time.Duration) (float64, error) {
	var total int
	var failed error
	var mu sync.Mutex
	var work sync.WaitGroup
	start := time.Now()
	for range n {
		work.Go(func() {
			count, err := 0, error(nil)
			c, err := dial(address, wire)
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
	return float64(total) / time.Since(start).Seconds(), errors.Join(failed, ctx.Err())
}

// pace sends requests over n connections at a rate, and returns how long they took, sorted. One that could not be sent
// in time because the one before was late counts from when it was due.
func pace(ctx context.Context, address string, wire []byte, n int, perSecond float64, length time.Duration) ([]time.Duration, error) {
	var all []time.Duration
	var failed error
	var mu sync.Mutex
	var work sync.WaitGroup
	start := time.Now()
	gap := time.Duration(float64(n) / perSecond * float64(time.Second))
	for i := range n {
		work.Go(func() {
			var took []time.Duration
			c, err := dial(address, wire)
			if err == nil {
				defer c.conn.Close()
				for due := start.Add(gap * time.Duration(i) / time.Duration(n)); err == nil && time.Since(start) < length && ctx.Err() == nil; due = due.Add(gap) {
					time.Sleep(time.Until(due))
					if err = c.do(nil); err == nil {
						took = append(took, time.Since(due))
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				failed = err
			}
		})
	}
	work.Wait()
	slices.Sort(all)
	return all, errors.Join(failed, ctx.Err())
}

// median of an odd or even number of figures; the lower middle one of an even number.
func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[(len(sorted)-1)/2]
}

// compare measures two things in turns and returns the medians.
func compare(rounds int, ours, bare func() (float64, error)) (a, b float64, err error) {
	var as, bs []float64
	for range rounds {
		x, err := ours()
		if err != nil {
			return 0, 0, err
		}
		y, err := bare()
		if err != nil {
			return 0, 0, err
		}
		as, bs = append(as, x), append(bs, y)
	}
	return median(as), median(bs), nil
}
