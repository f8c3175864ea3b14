package server

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1000": 1000, "21474836480": 20 << 30, "3K": 3 << 10, "512M": 512 << 20, "20G": 20 << 30,
		"3KiB": 3 << 10, "512MiB": 512 << 20, "20GiB": 20 << 30, "8589934591G": 8589934591 << 30,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "G", "iB", "1iB", "-1", "-1G", "1.5G", "10GB", "10T", "10 G", "10g", "GiB", "1KK", "8589934592G", "9223372036854775808"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
