package accesskey

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"time"
)

// useInterval is how often last uses are written down.
const useInterval = time.Minute

// Use notes that a request with a right signature came. It is written down within about a minute of later requests,
// or by Close: a crash forgets that much.
func (k *Keys) Use(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Second)
	k.used[id] = now
	if time.Since(k.recorded) < useInterval {
		return
	}
	if err := k.record(); err != nil {
		k.Log.Warn("last uses of access keys are not written down", "error", err)
	}
}

// Close writes the last uses down. The keys can be used on.
func (k *Keys) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.record()
}

// record writes the last uses of the keys that exist. The caller holds mu.
func (k *Keys) record() error {
	k.recorded = time.Now()
	k.refresh()
	exists := map[string]bool{}
	for _, key := range k.list {
		exists[key.ID] = true
	}
	maps.DeleteFunc(k.used, func(id string, _ time.Time) bool { return !exists[id] })
	data, err := json.Marshal(k.used)
	if err == nil {
		err = replace(filepath.Join(k.dir, useName), append(data, '\n'), false)
	}
	if err != nil {
		return fmt.Errorf("write the last uses of access keys: %w", err)
	}
	return nil
}

// readUses reads the last uses of a data dir. They are no more than a help: what cannot be read is never.
func readUses(dir string) map[string]time.Time {
	used := map[string]time.Time{}
	data, _, err := readPrivate(filepath.Join(dir, useName))
	if err != nil || json.Unmarshal(data, &used) != nil || used == nil {
		return map[string]time.Time{}
	}
	return used
}
