package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

// FuzzRequests sends anything to every operation, rightly signed. The answer is a refusal of the input or, when that is
// valid, that nothing is behind it here; never an error of the server.
func FuzzRequests(f *testing.F) {
	operations := slices.Concat(ivs.Operations(ivs.Unimplemented{}), ivsrealtime.Operations(ivsrealtime.Unimplemented{}))
	h := &api.Handler{Operations: operations, Keys: oneKey{}, Log: slog.New(slog.DiscardHandler)}
	for i := range operations {
		f.Add(uint8(i), `{}`, channelARN)
		f.Add(uint8(i), `{"arn":"`+stageARN+`","stageArn":"`+stageARN+`","channelArn":"`+channelARN+`","name":"a","tags":{"a":"b","":null}}`, stageARN)
		f.Add(uint8(i), `{"arns":["`+channelARN+`",null,1],"maxResults":1e2,"nextToken":"","filterBy":{"health":"X"},"video":{"framerate":29.97,"width":-1}}`, "a%2Fb?tagKeys=\x00")
		f.Add(uint8(i), `{"destinations":[{"channel":{},"s3":{"encoderConfigurationArns":[[]]}}],"layout":{"grid":{"gridGap":99999999999}},"viewerSessions":[{}]}`, "")
	}
	f.Fuzz(func(t *testing.T, which uint8, body, label string) {
		op := operations[int(which)%len(operations)]
		target := "http://localhost" + op.Path
		if strings.HasSuffix(op.Path, "{resourceArn}") {
			target = "http://localhost/tags/" + url.PathEscape(label) + "?tagKeys=" + url.QueryEscape(body)
		}
		r, err := http.NewRequestWithContext(t.Context(), op.Method, target, strings.NewReader(body))
		if err != nil {
			t.Skip("no request has this path")
		}
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(context.Background(), testCredentials, r, hex.EncodeToString(sum[:]), "ivs", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code/100 != 4 && w.Code != http.StatusNotImplemented {
			t.Fatalf("%s: %d %s", op.Name, w.Code, w.Body)
		}
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer["message"] == "" || w.Header().Get("X-Amzn-Errortype") == "" {
			t.Fatalf("%s: %d %s: %v", op.Name, w.Code, w.Body, err)
		}
	})
}
