package control

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/arn"
)

func TestEncoderConfigurationEcho(t *testing.T) {
	f := start(t)
	for _, c := range []struct{ in, name, video string }{
		{`{}`, "", `{"width":1280,"height":720,"framerate":30,"bitrate":2500000}`},
		{`{"name":"n","video":{}}`, "n", `{"width":1280,"height":720,"framerate":30,"bitrate":2500000}`},
		{`{"video":{"height":360,"width":640}}`, "", `{"width":640,"height":360,"framerate":30,"bitrate":2500000}`},
		{`{"video":{"framerate":29.97}}`, "", `{"width":1280,"height":720,"framerate":29.97,"bitrate":2500000}`},
		{`{"video":{"width":1080,"height":1920,"framerate":60,"bitrate":8500000}}`, "", `{"width":1080,"height":1920,"framerate":60,"bitrate":8500000}`},
		{`{"name":"my-first-encoder-configuration","video":{"bitrate":2500000,"height":720,"width":1280,"framerate":30}}`, "my-first-encoder-configuration", `{"width":1280,"height":720,"framerate":30,"bitrate":2500000}`},
	} {
		out := f.must(t, "CreateEncoderConfiguration", c.in)
		name := text(t, out, "encoderConfiguration", "arn")
		golden := fmt.Sprintf(`{"encoderConfiguration":{"arn":%q,"name":%q,"video":%s,"tags":{}}}`, name, c.name, c.video)
		echo(t, out, golden)
		echo(t, f.must(t, "GetEncoderConfiguration", fmt.Sprintf(`{"arn":%q}`, name)), golden)
	}
}

func TestEncoderConfigurationRefusals(t *testing.T) {
	f := start(t)
	const v = "ValidationException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:encoder-configuration/abcdefghijkl"
	for _, c := range []struct {
		operation, body string
		status          int
		code, words     string
	}{
		{"CreateEncoderConfiguration", `{"video":{"width":1281}}`, 400, v, "must be even"},
		{"CreateEncoderConfiguration", `{"video":{"height":721}}`, 400, v, "must be even"},
		{"CreateEncoderConfiguration", `{"video":{"width":1920,"height":1920}}`, 400, v, "2073600"},
		{"CreateEncoderConfiguration", `{"video":{"width":1922}}`, 400, v, "width"},
		{"CreateEncoderConfiguration", `{"video":{"framerate":61}}`, 400, v, "framerate"},
		{"CreateEncoderConfiguration", `{"video":{"framerate":0.5}}`, 400, v, "framerate"},
		{"CreateEncoderConfiguration", `{"video":{"bitrate":8500001}}`, 400, v, "bitrate"},
		{"CreateEncoderConfiguration", `{"tags":{"aws:a":"b"}}`, 400, v, "reserved"},
		{"GetEncoderConfiguration", fmt.Sprintf(`{"arn":%q}`, unknown), 404, "ResourceNotFoundException", "Resource: " + unknown + " not found"},
		{"DeleteEncoderConfiguration", fmt.Sprintf(`{"arn":%q}`, unknown), 404, "ResourceNotFoundException", unknown},
		{"ListEncoderConfigurations", `{"maxResults":101}`, 400, v, "maxResults"},
	} {
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
}

func TestEncoderConfigurationLife(t *testing.T) {
	f := start(t, func(c *Control) { c.Quotas.EncoderConfigurations = 4 })
	var names []string
	for i := range 4 {
		out, err := f.rt.CreateEncoderConfiguration(t.Context(), &rtsdk.CreateEncoderConfigurationInput{Name: aws.String(fmt.Sprint(i)), Tags: map[string]string{"i": fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, *out.EncoderConfiguration.Arn)
	}
	_, err := f.rt.CreateEncoderConfiguration(t.Context(), &rtsdk.CreateEncoderConfigurationInput{})
	if _, ok := errors.AsType[*rttypes.ServiceQuotaExceededException](err); !ok {
		t.Errorf("over quota: %v", err)
	}
	var listed []string
	var next *string
	for {
		page, err := f.rt.ListEncoderConfigurations(t.Context(), &rtsdk.ListEncoderConfigurationsInput{MaxResults: aws.Int32(3), NextToken: next})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.EncoderConfigurations {
			listed = append(listed, *e.Arn)
			if e.Tags["i"] != *e.Name {
				t.Errorf("tags %v of %s", e.Tags, *e.Name)
			}
		}
		if next = page.NextToken; next == nil {
			break
		}
	}
	if fmt.Sprint(listed) != fmt.Sprint(names) {
		t.Errorf("listed %v, created %v", listed, names)
	}

	f.compositions.use(arn.EncoderConfiguration, names[0], true)
	_, err = f.rt.DeleteEncoderConfiguration(t.Context(), &rtsdk.DeleteEncoderConfigurationInput{Arn: &names[0]})
	if _, ok := errors.AsType[*rttypes.ConflictException](err); !ok {
		t.Errorf("delete while in use: %v", err)
	}
	f.compositions.use(arn.EncoderConfiguration, names[0], false)
	if _, err = f.rt.DeleteEncoderConfiguration(t.Context(), &rtsdk.DeleteEncoderConfigurationInput{Arn: &names[0]}); err != nil {
		t.Error(err)
	}
	_, err = f.rt.DeleteEncoderConfiguration(t.Context(), &rtsdk.DeleteEncoderConfigurationInput{Arn: &names[0]})
	if _, ok := errors.AsType[*rttypes.ResourceNotFoundException](err); !ok {
		t.Errorf("second delete: %v", err)
	}
}
