package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Objects keeps values that are too large for a record, such as pictures, under names. It may be used from any
// goroutine.
//
// A write replaces the value in one step: readers see the old one or the new one, whole, and so does the next
// start after a crash. What a crash in the midst of a write may leave is space that nobody uses.
type Objects struct {
	name string
	os   jetstream.ObjectStore
	// mu keeps a value from being removed while it is read: JetStream would wait in vain for the rest of it.
	mu sync.RWMutex
}

// Object describes a value.
type Object struct {
	Name    string
	Size    int // bytes
	Changed time.Time
	About   map[string]string // what the writer said of it
}

// NewObjects opens the collection of that name ([A-Za-z0-9_-]+) and creates it when missing.
func NewObjects(ctx context.Context, s *Store, name string) (*Objects, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	os, err := s.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: name, Storage: jetstream.FileStorage})
	if err != nil {
		return nil, fmt.Errorf("store: open objects %s: %w", name, err)
	}
	return &Objects{name: name, os: os}, nil
}

func (o *Objects) fail(op, name string, err error) error {
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		err = ErrNotFound
	}
	return fmt.Errorf("store: %s %s/%s: %w", op, o.name, name, err)
}

// Put writes a value whether or not there is one of that name.
func (o *Objects) Put(ctx context.Context, name string, data []byte, about map[string]string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	meta := jetstream.ObjectMeta{Name: name, Metadata: about}
	if _, err := o.os.Put(ctx, meta, bytes.NewReader(data)); err != nil {
		return o.fail("put", name, err)
	}
	return nil
}

// Get reads a value, whose digest has been checked. ErrNotFound when there is none.
func (o *Objects) Get(ctx context.Context, name string) ([]byte, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	data, err := o.os.GetBytes(ctx, name)
	if err != nil {
		return nil, o.fail("get", name, err)
	}
	return data, nil
}

// Info describes a value without reading it. ErrNotFound when there is none.
func (o *Objects) Info(ctx context.Context, name string) (Object, error) {
	info, err := o.os.GetInfo(ctx, name)
	if err != nil {
		return Object{}, o.fail("look at", name, err)
	}
	return describe(info), nil
}

// List describes all values, in no order.
func (o *Objects) List(ctx context.Context) ([]Object, error) {
	infos, err := o.os.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, o.fail("list", "", err)
	}
	list := make([]Object, 0, len(infos))
	for _, info := range infos {
		list = append(list, describe(info))
	}
	return list, nil
}

// Delete removes a value that must exist; otherwise ErrNotFound.
func (o *Objects) Delete(ctx context.Context, name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.os.GetInfo(ctx, name); err != nil {
		return o.fail("delete", name, err)
	}
	if err := o.os.Delete(ctx, name); err != nil {
		return o.fail("delete", name, err)
	}
	return nil
}

func describe(info *jetstream.ObjectInfo) Object {
	return Object{Name: info.Name, Size: int(info.Size), Changed: info.ModTime, About: info.Metadata}
}
