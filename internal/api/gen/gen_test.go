package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFresh fails when a committed file is not what the generator writes, or is left over.
func TestFresh(t *testing.T) {
	files, err := generate(os.DirFS("../model"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Errorf("%v: run go generate ./internal/api", err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./internal/api", name)
		}
	}
	present, err := filepath.Glob("../*/*_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob("../*_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(present, top...) {
		rel, err := filepath.Rel("..", path)
		if err != nil {
			t.Fatal(err)
		}
		if files[filepath.ToSlash(rel)] == nil {
			t.Errorf("%s is not generated any more: delete it", rel)
		}
	}
}

func TestOperationCount(t *testing.T) {
	want := map[string]int{"ivs.json": 40, "ivs-realtime.json": 39}
	for file, n := range want {
		m, err := load(os.DirFS("../model"), file)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Operations) != n {
			t.Errorf("%s has %d operations, want %d", file, len(m.Operations), n)
		}
	}
}

func TestEnumName(t *testing.T) {
	for _, c := range [][3]string{
		{"ChannelType", "ADVANCED_SD", "ChannelTypeAdvancedSd"},
		{"ContainerFormat", "TS", "ContainerFormatTs"},
		{"PipPosition", "BOTTOM_RIGHT", "PipPositionBottomRight"},
	} {
		if got := enumName(c[0], c[1]); got != c[2] {
			t.Errorf("enumName(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
