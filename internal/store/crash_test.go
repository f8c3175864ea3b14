package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// writerEnv makes the test binary a writer in the directory that it names.
const writerEnv = "FOOTLIGHT_STORE_TEST_WRITER"

// writeForEver creates, updates and deletes records and says each on stdout once it is acknowledged.
// It ends when its parent kills it.
func writeForEver(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	b, err := NewBucket[record](ctx, s, "acknowledged")
	if err != nil {
		fmt.Println("bucket:", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i)
		if err := b.Create(ctx, key, record{Count: i}); err != nil {
			fmt.Println("create:", err)
			os.Exit(1)
		}
		fmt.Println("created", i)
		if _, err := b.Update(ctx, key, func(r *record) error { r.Name = "updated"; return nil }); err != nil {
			fmt.Println("update:", err)
			os.Exit(1)
		}
		fmt.Println("updated", i)
		if i%3 == 0 {
			if err := b.Delete(ctx, key); err != nil {
				fmt.Println("delete:", err)
				os.Exit(1)
			}
			fmt.Println("deleted", i)
		}
	}
}

// TestKill kills a writing process without warning, several times over one directory, and expects
// everything that it had been promised.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		last := killWriterAfter(t, dir, 40+50*round)

		s, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		b := bucket[record](t, s, "acknowledged")
		for i, state := range last {
			got, _, err := b.Get(t.Context(), fmt.Sprint("k", i))
			switch {
			case state == "created" && err == nil && got.Count == i: // the update may have happened as well
			case state == "updated" && err == nil && got.Name == "updated":
			case state == "updated" && i%3 == 0 && i == len(last)-1: // the delete may have happened as well
			case state == "deleted" && err != nil:
			default:
				t.Errorf("round %d: k%d was acknowledged as %s, now %+v, %v", round, i, state, got, err)
			}
		}
		list, err := b.List(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d records acknowledged before the kill, %d left after it", round, len(last), len(list))
		// The next writer starts from nothing again: it creates the same keys.
		for _, r := range list {
			if err := b.Delete(t.Context(), fmt.Sprint("k", r.Count)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}
}

// killWriterAfter runs a writer until it has acknowledged n steps, kills it, and returns the last
// acknowledged state of each record.
func killWriterAfter(t *testing.T, dir string, n int) []string {
	t.Helper()
	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), writerEnv+"="+dir)
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	var last []string
	steps := 0
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var state string
		var i int
		if _, err := fmt.Sscan(line, &state, &i); err != nil {
			t.Fatalf("the writer said %q", strings.TrimSpace(line))
		}
		if i == len(last) {
			last = append(last, "")
		}
		last[i] = state
		if steps++; steps == n {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The error is the kill.
	_ = writer.Wait()
	return last
}
