// Package version tells which build of Footlight a program is.
package version

import (
	"fmt"
	"runtime/debug"
)

// String is such as "v1.2.0 (go1.26.8)", or the commit and its date where there is no version, as in a build from a checkout.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; len(commit) >= 12 && version == "(devel)" {
		version = commit[:12] + " of " + settings["vcs.time"]
		if settings["vcs.modified"] == "true" {
			version += ", changed"
		}
	}
	return fmt.Sprintf("%s (%s)", version, info.GoVersion)
}
