package evaluation_test

import (
	"os"
	"testing"

	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestMain(m *testing.M) { os.Exit(ceremonytest.Main(m)) }
