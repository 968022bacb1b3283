package demo_test

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/keyward/keyward/cmd/keyward/internal/demo"
	"github.com/keyward/keyward/core/place/mmdbtest"
)

var update = flag.Bool("update", false, "write places.mmdb anew")

func TestThePlacesOfTheDemoAreThoseOfItsAddresses(t *testing.T) {
	t.Parallel()
	want := mmdbtest.Write(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), map[string]mmdbtest.Entry{
		"198.18.0.0/15": mmdbtest.Located("DE", 52.52, 13.40, 20),
		"192.0.2.0/24":  mmdbtest.Located("BR", -23.55, -46.63, 50),
	})
	if *update {
		if err := os.WriteFile("places.mmdb", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want, demo.Places) {
		t.Error("places.mmdb is not what is written here; run the test with -update")
	}
}
