package memblob_test

import (
	"testing"

	"packhouse/internal/blob"
	"packhouse/internal/blob/blobtest"
	"packhouse/internal/blob/memblob"
)

func TestStore(t *testing.T) {
	blobtest.Run(t, func(_ *testing.T, limits blob.Limits) blob.Store { return memblob.New(limits) })
}
