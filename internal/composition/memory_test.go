package composition

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestResidentMemory(t *testing.T) {
	// The tests alone take some megabytes.
	if got, err := residentMemory(os.Getpid()); err != nil || got < 1<<20 || got > 8<<30 {
		t.Errorf("%d bytes, %v", got, err)
	}
	if _, err := residentMemory(1 << 30); err == nil {
		t.Error("a process that does not exist has memory")
	}
}

func TestLimitMemory(t *testing.T) {
	child := exec.Command("sleep", "600")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	if err := limitMemory(child.Process.Pid, 1<<20); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", child.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max data size") && !strings.Contains(line, fmt.Sprint(1<<30+1<<20)) {
			t.Error(line)
		}
	}
	if err := limitMemory(1<<30, 1<<20); err == nil {
		t.Error("a process that does not exist was limited")
	}
}
