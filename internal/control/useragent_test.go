package control

import (
	"regexp"
	"testing"
)

func TestParseUserAgent(t *testing.T) {
	for ua, want := range map[string]agent{
		"": {},
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0.0.0 Safari/537.36":                                  {"Linux", "", "Chrome", "130.0.0.0", ""},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.2849.46":              {"Windows", "10.0", "Edge", "130.0.2849.46", ""},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                          {"macOS", "10.15.7", "Safari", "18.1", ""},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":        {"iOS", "18.1", "Safari", "18.1", ""},
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36":                          {"Android", "15", "Chrome", "130.0.0.0", ""},
		"Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36":     {"Android", "14", "Samsung Internet", "27.0", ""},
		"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0":                                                                 {"Linux", "", "Firefox", "132.0", ""},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/130.0.6723.37 Mobile/15E148 Safari/604.1": {"iOS", "17.0", "Chrome", "130.0.6723.37", ""},
		"Mozilla/5.0 (OBS-Studio/30.2.3; Linux x86_64; en-US)":                                                                                           {"Linux", "", "", "", "OBS-Studio 30.2.3"},
		"OBS-Studio/30.2.3":                          {"", "", "OBS-Studio", "30.2.3", "OBS-Studio 30.2.3"},
		"footlight-synth/1.0":                        {"", "", "footlight-synth", "1.0", "footlight-synth 1.0"},
		"Lavf/61.7.100":                              {"", "", "Lavf", "61.7.100", "Lavf 61.7.100"},
		"GStreamer souphttpsrc 1.22.0 libsoup/3.2.3": {"", "", "GStreamer souphttpsrc 1.22.0 libsoup", "3.2.3", "GStreamer souphttpsrc 1.22.0 libsoup 3.2.3"},
		"<script>alert(1)</script>/9":                {"", "", "scriptalert1", "", "scriptalert1"},
	} {
		if got := parseUserAgent(ua); got != want {
			t.Errorf("%s\n got %+v\nwant %+v", ua, got, want)
		}
	}
}

// FuzzParseUserAgent: whatever a client calls itself fits the API's pattern for client attributes.
func FuzzParseUserAgent(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64) Chrome/1.0 Safari/537.36")
	f.Add("a/\xff\x00/9")
	f.Add("Windows NT ＿1")
	allowed := regexp.MustCompile(`\A[a-zA-Z0-9\-_.,:;\s]{0,128}\z`)
	f.Fuzz(func(t *testing.T, ua string) {
		a := parseUserAgent(ua)
		for _, s := range []string{a.OS, a.OSVersion, a.Browser, a.BrowserVersion, a.SDK} {
			if !allowed.MatchString(s) {
				t.Fatalf("%q gives %q", ua, s)
			}
		}
	})
}
