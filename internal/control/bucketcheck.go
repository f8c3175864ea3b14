package control

import (
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/objectstore"
)

// bucketPatience is how long a request waits for a bucket to be written to.
const bucketPatience = 3 * time.Second

// checkBucket writes to a bucket of the object store. decided says whether the error is an answer about the bucket,
// which trying again will not change; it is true without error. missing makes the error for a bucket that does not
// exist, since not every operation has the same one.
func (c *Control) checkBucket(ctx context.Context, name string, missing func(string, ...any) *api.Error) (decided bool, err error) {
	if c.Objects == nil {
		return true, notBuilt("This server has no object store")
	}
	bucket, err := c.Objects.Bucket(name)
	if err == nil {
		err = objectstore.Check(ctx, bucket)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, objectstore.ErrInvalidName):
		return true, api.ValidationException("bucketName: %v", err)
	case errors.Is(err, objectstore.ErrNoBucket):
		return true, missing("The bucket %s does not exist in the object store of this server: create it there first", name)
	case errors.Is(err, objectstore.ErrDenied):
		c.Log.Warn("a bucket cannot be written", "bucket", name, "error", err)
		return true, api.AccessDeniedException("The object store does not let this server write to the bucket %s: look at its credentials and at the bucket's permissions", name)
	}
	c.Log.Warn("a bucket cannot be checked", "bucket", name, "error", err)
	why := objectstore.Reason(err)
	if why == "" {
		why = "the server's log says why"
	}
	return false, api.InternalServerException("The object store could not tell whether the bucket %s can be written: %s. Try again, or correct --storage", name, why)
}
