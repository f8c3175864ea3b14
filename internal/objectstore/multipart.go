package objectstore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// partSize is how large a part of an object is, in bytes, and what is stored as one. S3 takes 5 GiB at once at most, and
// 10,000 parts; where that is too little parts are larger.
var partSize int64 = 64 << 20 // a test has smaller ones

const maxParts = 10_000

// putParts stores a body of a size from its present position on, part by part. The object appears when all are there.
func (b s3Bucket) putParts(ctx context.Context, key string, body io.ReadSeeker, start, size int64) error {
	created, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: &key, ContentType: aws.String(TypeOf(key))})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	each := max(partSize, (size+maxParts-1)/maxParts)
	for at := int64(0); at < size && err == nil; at += each {
		number := int32(len(parts) + 1)
		var out *s3.UploadPartOutput
		out, err = b.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &b.name, Key: &key, UploadId: created.UploadId, PartNumber: &number,
			Body: &window{body: body, from: start + at, size: min(each, size-at)},
		})
		if err == nil {
			parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: &number})
		}
	}
	if err == nil {
		_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &b.name, Key: &key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
	}
	if err == nil {
		return nil
	}
	// What was stored would be kept, and paid for, unseen.
	aborting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, abortErr := b.client.AbortMultipartUpload(aborting, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: &key, UploadId: created.UploadId})
	return errors.Join(err, abortErr)
}

// window is a part of a file as a file.
type window struct {
	body           io.ReadSeeker
	from, size, at int64
}

// Seek implements io.Seeker.
func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	w.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (w *window) Read(p []byte) (int, error) {
	if w.at >= w.size {
		return 0, io.EOF
	}
	if _, err := w.body.Seek(w.from+w.at, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := w.body.Read(p[:min(int64(len(p)), w.size-w.at)])
	w.at += int64(n)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	return 0, io.ErrUnexpectedEOF
}

// extent is where a body stands and how much follows.
func extent(body io.Seeker) (start, size int64, err error) {
	if start, err = body.Seek(0, io.SeekCurrent); err != nil {
		return 0, 0, err
	}
	end, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, err
	}
	_, err = body.Seek(start, io.SeekStart)
	return start, end - start, err
}
