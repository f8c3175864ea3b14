package composer

import (
	"testing"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
