// Package tryout acts on a Footlight server from outside, as its users do: it calls the API, has synthetic participants
// publish, and looks whether a channel plays. The demo and the doctor are made of it.
package tryout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// API calls the API as any program would: a signed POST for each operation.
type API struct {
	Endpoint string // URL, no trailing slash
	Region   string
	Key      aws.Credentials
}

// Call sends in as the operation's input and reads its output into out.
func (c *API) Call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint+"/"+operation, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	req.Header.Set("Content-Type", "application/json")
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, c.Key, req, hex.EncodeToString(hash[:]), "ivs", c.Region, time.Now()); err != nil {
		return fmt.Errorf("%s: sign: %w", operation, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", operation, err)
	}
	if resp.StatusCode/100 != 2 {
		var e struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(answer, &e) // an answer that is no JSON leaves the status to speak
		return fmt.Errorf("%s: %s %s: %s", operation, resp.Status, resp.Header.Get("x-amzn-ErrorType"), e.Message)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: read the answer: %w", operation, err)
	}
	return nil
}
