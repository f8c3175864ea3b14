// Package geoip tells the country of an address from a database file in the MaxMind DB format, version 2
// (maxmind.github.io/MaxMind-DB), such as GeoLite2 Country or DB-IP Country Lite.
//
// The file is read into memory once. Whatever it holds, a look-up ends and reads nothing outside of it: a country that
// cannot be read is not known.
package geoip

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// marker stands before the metadata, which is within the last 128 KiB.
const (
	marker      = "\xab\xcd\xefMaxMind.com"
	metadataEnd = 128 << 10
)

// separator is the number of zero bytes between the search tree and the data.
const separator = 16

// DB is a database in memory. It never changes: any goroutine may use it.
type DB struct {
	tree  []byte
	data  decoder
	nodes uint
	bits  uint // of a record: 24, 28 or 32
	root4 uint // node at which IPv4 addresses begin
	v6    bool
}

// Open reads a file.
func Open(file string) (*DB, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("open GeoIP database: %w", err)
	}
	db, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("open GeoIP database %s: %w", file, err)
	}
	return db, nil
}

func parse(file []byte) (*DB, error) {
	tail := file[max(0, len(file)-metadataEnd):]
	at := bytes.LastIndex(tail, []byte(marker))
	if at < 0 {
		return nil, errors.New("it is not in the MaxMind DB format")
	}
	value, err := decoder(tail[at+len(marker):]).value(0)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	metadata, _ := value.(map[string]any)
	number := func(name string) uint {
		n, _ := metadata[name].(uint64)
		return uint(min(n, 1<<40))
	}
	db := &DB{nodes: number("node_count"), bits: number("record_size"), v6: number("ip_version") == 6}
	if db.bits != 24 && db.bits != 28 && db.bits != 32 {
		return nil, fmt.Errorf("records of %d bits are none of the format's", db.bits)
	}
	size := db.nodes * db.bits / 4
	if db.nodes == 0 || size+separator > uint(len(file)) {
		return nil, errors.New("the file is cut")
	}
	db.tree, db.data = file[:size], decoder(file[size+separator:])
	if db.v6 {
		for range 96 {
			if db.root4 < db.nodes {
				db.root4 = db.record(db.root4, 0)
			}
		}
	}
	return db, nil
}

// record is the left (0) or right (1) record of a node below db.nodes.
func (db *DB) record(node uint, side byte) uint {
	n := db.tree[node*db.bits/4:][:db.bits/4]
	big := func(b []byte) (v uint) {
		for _, x := range b {
			v = v<<8 | uint(x)
		}
		return v
	}
	if db.bits == 28 {
		if side == 0 {
			return uint(n[3]>>4)<<24 | big(n[:3])
		}
		return uint(n[3]&15)<<24 | big(n[4:])
	}
	half := len(n) / 2
	return big(n[int(side)*half:][:half])
}

// Country is the ISO 3166-1 alpha-2 code of the country of an address, or "" where that is not known.
func (db *DB) Country(a netip.Addr) string {
	a = a.Unmap()
	node := uint(0)
	switch {
	case a.Is4():
		node = db.root4
	case !a.IsValid() || !db.v6:
		return ""
	}
	for _, b := range a.AsSlice() {
		for bit := 7; bit >= 0 && node < db.nodes; bit-- {
			node = db.record(node, b>>bit&1)
		}
	}
	if node < db.nodes+separator {
		return ""
	}
	value, err := db.data.value(node - db.nodes - separator)
	if err != nil {
		return ""
	}
	record, _ := value.(map[string]any)
	if country, ok := record["country"].(map[string]any); ok {
		code, _ := country["iso_code"].(string)
		return code
	}
	for _, name := range []string{"country_code", "country"} { // flat databases
		if code, ok := record[name].(string); ok && len(code) == 2 {
			return code
		}
	}
	return ""
}
