package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/smithy-go"
)

// sdk calls operations by name. Inputs and outputs are JSON objects with the members' names of the model.
type sdk interface {
	name() string
	// call sends one request, without retries. A refusal is a *failure; errNotSent means that the SDK itself does not
	// take the input.
	call(ctx context.Context, op *operation, in M) (M, error)
	close()
}

// errNotSent is the answer of an SDK that refuses an input before it is sent.
var errNotSent = errors.New("the SDK does not take this input")

// failure is an error that the server answered with.
type failure struct {
	Code    string `json:"code"`
	Status  int    `json:"status"`
	Message string `json:"message"`
	Typed   bool   `json:"typed"` // the SDK made it the exception of that name
}

func (f *failure) Error() string { return fmt.Sprintf("%s (%d): %s", f.Code, f.Status, f.Message) }

// goSDK is the AWS SDK for Go v2. Its outputs are the bodies of the answers, each compared with what the SDK made of
// it: nothing that the server says may be lost on the way.
type goSDK struct {
	clients map[string]reflect.Value // by service
}

// newGoSDK makes clients for an endpoint.
func newGoSDK(_ testing.TB, url, key, secret string) sdk {
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient:  tee{&http.Client{Timeout: time.Minute}},
	}
	return &goSDK{map[string]reflect.Value{
		"ivs":          reflect.ValueOf(ivs.NewFromConfig(config)),
		"ivs-realtime": reflect.ValueOf(ivsrealtime.NewFromConfig(config)),
	}}
}

func (*goSDK) name() string { return "Go" }
func (*goSDK) close()       {}

// tee keeps the body of an answer for the caller who asks for it in the context.
type tee struct{ *http.Client }

type bodyKey struct{}

func (c tee) Do(r *http.Request) (*http.Response, error) {
	response, err := c.Client.Do(r)
	if keep, ok := r.Context().Value(bodyKey{}).(*[]byte); ok && err == nil {
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		*keep = body
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	return response, err
}

func (s *goSDK) call(ctx context.Context, op *operation, in M) (M, error) {
	method := s.clients[op.model.Service].MethodByName(op.call)
	input := reflect.New(method.Type().In(1).Elem())
	if !fill(input.Elem(), in) {
		return nil, errNotSent
	}
	var body []byte
	ctx = context.WithValue(ctx, bodyKey{}, &body)
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), input})
	if err, _ := results[1].Interface().(error); err != nil {
		return nil, goFailure(err)
	}
	out := M{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &out); err != nil {
			return nil, fmt.Errorf("%s: the answer is no JSON object: %w: %s", op.name, err, body)
		}
	}
	if lost := compare("", out, read(results[0].Elem())); lost != "" {
		return nil, fmt.Errorf("%s: the SDK for Go does not read the answer as it was sent: %s", op.name, lost)
	}
	return out, nil
}

// goFailure is what the SDK says about an error.
func goFailure(err error) error {
	if _, ok := errors.AsType[*smithy.SerializationError](err); ok {
		return errNotSent
	}
	if _, ok := errors.AsType[smithy.InvalidParamsError](err); ok {
		return errNotSent
	}
	if _, ok := errors.AsType[*smithy.InvalidParamsError](err); ok {
		return errNotSent
	}
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	f := &failure{Code: answer.ErrorCode(), Message: answer.ErrorMessage()}
	_, generic := answer.(*smithy.GenericAPIError)
	f.Typed = !generic
	if !generic {
		// The model's name of the text is exceptionMessage, which ErrorMessage does not know.
		if text, ok := reflect.ValueOf(answer).Elem().FieldByName("ExceptionMessage").Interface().(*string); ok && text != nil {
			f.Message = *text
		}
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		f.Status = response.HTTPStatusCode()
	}
	return f
}

// fill sets an SDK's value from a JSON value; false when it cannot hold that.
func fill(to reflect.Value, x any) bool {
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return fill(to.Elem(), x)
	case reflect.Struct:
		object, ok := x.(M)
		if !ok {
			return false
		}
		for name, value := range object {
			field := to.FieldByName(string(unicode.ToUpper(rune(name[0]))) + name[1:])
			if !field.IsValid() || value == nil || !fill(field, value) {
				return false
			}
			if field.Kind() == reflect.Bool && !field.Bool() || field.CanInt() && field.Int() == 0 {
				return false // the SDK leaves it out
			}
		}
		return true
	case reflect.Slice:
		list := reflect.ValueOf(x)
		if list.Kind() != reflect.Slice {
			return false
		}
		to.Set(reflect.MakeSlice(to.Type(), list.Len(), list.Len()))
		for i := range list.Len() {
			if !fill(to.Index(i), list.Index(i).Interface()) {
				return false
			}
		}
		return true
	case reflect.Map:
		object, ok := x.(M)
		if !ok {
			return false
		}
		to.Set(reflect.MakeMap(to.Type()))
		for key, value := range object {
			elem := reflect.New(to.Type().Elem()).Elem()
			if !fill(elem, value) {
				return false
			}
			to.SetMapIndex(reflect.ValueOf(key), elem)
		}
		return true
	}
	v := reflect.ValueOf(x)
	number := v.CanInt() || v.CanFloat()
	wantNumber := to.CanInt() || to.CanFloat()
	if x == nil || number != wantNumber || !number && v.Kind() != to.Kind() {
		return false
	}
	to.Set(v.Convert(to.Type()))
	// A number that changed on the way did not fit.
	return !number || fmt.Sprint(to.Interface()) == fmt.Sprint(x)
}

// read turns an SDK's value into a JSON value. Members that are absent are nil, or zero where the SDK cannot tell.
func read(v reflect.Value) any {
	if t, ok := v.Interface().(time.Time); ok {
		return t.UTC().Format(time.RFC3339Nano)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return read(v.Elem())
	case reflect.Struct:
		out := M{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Name == "ResultMetadata" {
				continue
			}
			out[strings.ToLower(f.Name[:1])+f.Name[1:]] = read(v.Field(i))
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		out := []any{}
		for i := range v.Len() {
			out = append(out, read(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		out := M{}
		for _, key := range v.MapKeys() {
			out[key.String()] = read(v.MapIndex(key))
		}
		return out
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	}
	if v.CanInt() {
		return float64(v.Int())
	}
	f, err := strconv.ParseFloat(strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), 64)
	if err != nil {
		panic(err)
	}
	return f
}

// compare says where the SDK's value differs from what was sent, or "".
func compare(at string, sent, got any) string {
	switch sent := sent.(type) {
	case M:
		object, ok := got.(M)
		if !ok {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for name, value := range sent {
			// Members that are younger than the SDK are not in its types.
			if read, known := object[name]; known {
				if diff := compare(at+"."+name, value, read); diff != "" {
					return diff
				}
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(sent) {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for i := range sent {
			if diff := compare(fmt.Sprintf("%s[%d]", at, i), sent[i], list[i]); diff != "" {
				return diff
			}
		}
		return ""
	}
	if canonical(sent) != canonical(got) {
		return fmt.Sprintf("%s was sent as %v and read as %v", at, sent, got)
	}
	return ""
}

// canonical is a JSON value as text that is the same for the same content: members are sorted, and times have one form.
func canonical(x any) string {
	b, err := json.Marshal(normal(x))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func normal(x any) any {
	switch x := x.(type) {
	case M:
		out := M{}
		for name, value := range x {
			out[name] = normal(value)
		}
		return out
	case []any:
		out := []any{}
		for _, value := range x {
			out = append(out, normal(value))
		}
		return out
	case string:
		if len(x) > 10 && x[4] == '-' && strings.HasSuffix(x, "Z") {
			if t, err := time.Parse(time.RFC3339Nano, x); err == nil {
				return t.UTC().Format("2006-01-02T15:04:05.000Z") // JavaScript has no finer times
			}
		}
	}
	return x
}
