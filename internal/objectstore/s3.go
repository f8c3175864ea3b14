package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// s3Store is a Store on a server that speaks S3. Credentials come from where the AWS SDK looks for them:
// environment, files, the machine's role.
type s3Store struct{ client *s3.Client }

// s3Options are the parameters of an s3:// URL.
type s3Options struct {
	endpoint  string // URL; empty is AWS, or what the environment says
	region    string
	profile   string
	pathStyle bool // http://host/bucket/key in place of http://bucket.host/key
}

// parseS3 reads an s3:// URL.
func parseS3(u *url.URL) (s3Options, error) {
	var o s3Options
	refuse := func(format string, args ...any) (s3Options, error) {
		return s3Options{}, fmt.Errorf("object store %s: %s", u.Redacted(), fmt.Sprintf(format, args...))
	}
	if u.User != nil {
		return refuse("credentials do not belong into the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use the files of the AWS CLI")
	}
	if u.Host != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" || u.Fragment != "" {
		return refuse("want s3:// and parameters, such as s3://?endpoint=https://host; buckets are named by the storage and recording configurations")
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse("its parameters cannot be read")
	}
	for name, values := range parameters {
		v := values[0]
		switch {
		case len(values) != 1:
			return refuse("%s is there twice", name)
		case v == "":
			return refuse("%s is empty", name)
		}
		switch name {
		case "endpoint":
			e, err := url.Parse(v)
			if err != nil || e.Scheme != "http" && e.Scheme != "https" || e.Host == "" || e.User != nil || e.RawQuery != "" {
				return refuse("endpoint must look like https://s3.example.com")
			}
			o.endpoint = v
		case "region":
			o.region = v
		case "profile":
			o.profile = v
		case "path-style":
			if o.pathStyle, err = strconv.ParseBool(v); err != nil {
				return refuse("path-style must be true or false")
			}
		default:
			return refuse("there is no parameter %s, only endpoint, region, path-style and profile", name)
		}
	}
	return o, nil
}

func openS3(ctx context.Context, u *url.URL) (Store, error) {
	o, err := parseS3(u)
	if err != nil {
		return nil, err
	}
	var load []func(*config.LoadOptions) error
	if o.profile != "" {
		load = append(load, config.WithSharedConfigProfile(o.profile))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", u, err)
	}
	return s3Store{s3.NewFromConfig(c, func(s *s3.Options) {
		if o.endpoint != "" {
			s.BaseEndpoint = &o.endpoint
		}
		if o.region != "" {
			s.Region = o.region
		}
		if s.Region == "" {
			s.Region = "us-east-1" // what servers other than AWS expect
		}
		s.UsePathStyle = o.pathStyle
		// Short enough that who asks for a few seconds, as Check is used, hears why and not that the time is over.
		s.Retryer = retry.AddWithMaxBackoffDelay(s.Retryer, time.Second)
		// Many servers do not know the newer checksums.
		s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		s.DisableLogOutputChecksumValidationSkipped = true
	})}, nil
}

func (s s3Store) Bucket(name string) (Bucket, error) {
	if err := checkBucket(name); err != nil {
		return nil, err
	}
	return s3Bucket{s.client, name}, nil
}

type s3Bucket struct {
	client *s3.Client
	name   string
}

var (
	missingCodes = []string{"NoSuchKey", "NotFound"}
	deniedCodes  = []string{"AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)

// s3Kind turns an answer of S3 into an error of this package. Answers to HEAD have no body, so that only the status
// tells.
func s3Kind(err error) error {
	if err == nil {
		return nil
	}
	code, status := "", 0
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		code = e.ErrorCode()
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = e.HTTPStatusCode()
	}
	switch {
	case code == "NoSuchBucket":
		return fmt.Errorf("%w: %w", ErrNoBucket, err)
	case slices.Contains(missingCodes, code):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case slices.Contains(deniedCodes, code) || status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case code == "InvalidRange" || status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: %w", ErrRange, err)
	case code == "InvalidBucketName":
		return fmt.Errorf("%w: %w", ErrInvalidName, err)
	}
	return err
}

func (b s3Bucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := checkKey(key); err != nil {
		return err
	}
	start, size, err := extent(body)
	switch {
	case err != nil:
	case size > partSize:
		err = b.putParts(ctx, key, body, start, size)
	default:
		_, err = b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: body, ContentType: aws.String(TypeOf(key))})
	}
	return fail("put", b.name, key, s3Kind(err))
}

// header is the range as RFC 9110, section 14.1.2, writes it; nil is the whole.
func (r Range) header() *string {
	switch {
	case r == Range{}:
		return nil
	case r.Length == 0 || r.Length > math.MaxInt64-r.Offset:
		return aws.String(fmt.Sprintf("bytes=%d-", r.Offset))
	}
	return aws.String(fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1))
}

func (b s3Bucket) Open(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	if err := checkKey(key); err != nil {
		return nil, Object{}, err
	}
	if !r.valid() {
		return nil, Object{}, fail("get", b.name, key, ErrRange)
	}
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key, Range: r.header()})
	if err != nil {
		return nil, Object{}, fail("get", b.name, key, s3Kind(err))
	}
	o := Object{Key: key, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), ContentType: aws.ToString(out.ContentType)}
	if out.ContentRange != nil {
		if o.Size, err = wholeSize(*out.ContentRange); err != nil {
			out.Body.Close()
			return nil, Object{}, fail("get", b.name, key, err)
		}
	}
	return out.Body, o, nil
}

// wholeSize reads the size of the object out of a Content-Range such as bytes 0-9/100.
func wholeSize(contentRange string) (int64, error) {
	_, size, _ := strings.Cut(contentRange, "/")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("the object store answered the content range %q", contentRange)
	}
	return n, nil
}

func (b s3Bucket) Head(ctx context.Context, key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return Object{}, fail("head", b.name, key, s3Kind(err))
	}
	return Object{Key: key, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), ContentType: aws.ToString(out.ContentType)}, nil
}

func (b s3Bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(Object{}, err)
			return
		}
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, fail("list", b.name, prefix, s3Kind(err)))
				return
			}
			for _, o := range page.Contents {
				if !yield(Object{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

func (b s3Bucket) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	if err = s3Kind(err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return fail("delete", b.name, key, err)
}
