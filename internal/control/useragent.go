package control

import "strings"

// agent is what a participant's User-Agent says about the client. Values fit the API: at most 128 of
// letters, digits and - _ . , : ; space.
type agent struct {
	OS             string `json:"os,omitempty"`
	OSVersion      string `json:"osVersion,omitempty"`
	Browser        string `json:"browser,omitempty"`
	BrowserVersion string `json:"browserVersion,omitempty"`
	SDK            string `json:"sdk,omitempty"` // product and version of a program that is no browser
}

// browsers in the order of looking: those that claim to be others as well come first.
var browsers = []struct{ product, name string }{
	{"Edg", "Edge"}, {"OPR", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"HeadlessChrome", "Chrome"},
	{"CriOS", "Chrome"}, {"FxiOS", "Firefox"}, {"Chrome", "Chrome"}, {"Firefox", "Firefox"},
}

// systems in the order of looking; the version follows the mark.
var systems = []struct{ mark, name string }{
	{"Windows NT", "Windows"}, {"iPhone OS", "iOS"}, {"CPU OS", "iOS"}, {"Android", "Android"},
	{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
}

// maxUserAgent is how many bytes of the header are looked at.
const maxUserAgent = 1024

// parseUserAgent reads a User-Agent header. Encoders that name themselves product/version, as OBS does, count
// as browsers. What it does not know stays empty.
func parseUserAgent(ua string) agent {
	ua = ua[:min(len(ua), maxUserAgent)]
	var a agent
	for _, s := range systems {
		if _, rest, ok := strings.Cut(ua, s.mark); ok {
			a.OS = s.name
			a.OSVersion = strings.ReplaceAll(leadingVersion(strings.TrimLeft(rest, " ")), "_", ".")
			break
		}
	}
	if a.Browser, a.BrowserVersion = browser(ua); a.Browser == "" {
		name := strings.TrimPrefix(ua, "Mozilla/5.0 (") // as OBS begins
		if product, rest, ok := strings.Cut(name, "/"); ok && product != "Mozilla" {
			a.SDK = strings.TrimSpace(product + " " + leadingVersion(rest))
			if name == ua {
				a.Browser, a.BrowserVersion = product, leadingVersion(rest)
			}
		}
	}
	return agent{
		OS: clientText(a.OS), OSVersion: clientText(a.OSVersion),
		Browser: clientText(a.Browser), BrowserVersion: clientText(a.BrowserVersion), SDK: clientText(a.SDK),
	}
}

func browser(ua string) (name, version string) {
	for _, b := range browsers {
		if _, rest, ok := strings.Cut(ua, b.product+"/"); ok {
			return b.name, leadingVersion(rest)
		}
	}
	if _, rest, ok := strings.Cut(ua, "Version/"); ok && strings.Contains(ua, "Safari/") {
		return "Safari", leadingVersion(rest)
	}
	return "", ""
}

// leadingVersion is the number with dots or underscores that s begins with.
func leadingVersion(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '_' })
	if end >= 0 {
		s = s[:end]
	}
	return strings.Trim(s, "._")
}

// clientText keeps the characters that the API allows in a client's attributes, up to its 128.
func clientText(s string) string {
	const most = 128
	s = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.,:; ", r) {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), most)]
}
